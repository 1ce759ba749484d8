//! The steps around a changed message: what makes the situation, what is expected, and the control.

use crate::base::ItemId;
use crate::codec::deviation::Edit;
use crate::message::Path;
use crate::spec::Command;

use super::super::step::{Codes, Condition, Expected, Fence, Incoming, Patience, Step, Test};
use super::{Kind, Sample, Variant};

type Parts = (ItemId, Vec<Step>, Vec<Step>);

pub(super) fn server_steps(sample: &Sample, variant: &Variant) -> Option<Parts> {
    let lane = || "A".to_owned();
    let send = |edits: Vec<Edit>| Step::Send {
        primitives: vec![sample.step.clone()],
        lane: lane(),
        edits,
    };
    let login = || {
        vec![
            Step::Send {
                primitives: vec!["Login-Request".into()],
                lane: lane(),
                edits: Vec::new(),
            },
            expect(
                Expected::Primitives(vec!["Login-Response".into()]),
                vec![
                    Condition::In(
                        Path::parse("Login-Response/Result/Code").ok()?,
                        vec!["200".into()],
                    ),
                    Condition::Present(Path::parse("Login-Response/SessionID").ok()?),
                ],
            ),
        ]
        .into()
    };
    let login: &dyn Fn() -> Option<Vec<Step>> = &login;
    let item = ItemId::parse(match variant.kind {
        Kind::Structure => "CSP-ENV-S-015",
        Kind::Octets => "CSP-ENV-S-018",
        Kind::Type => "CSP-TYPE-S-008",
        Kind::Edge => "CSP-TYPE-S-009",
        Kind::Mode => "CSP-ENV-S-019",
        Kind::Session => "CSP-SESS-S-001",
        // Answers: nothing that a server gets.
        Kind::Refused(_) | Kind::Unanswered => return None,
    })
    .ok()?;
    let expected = match variant.kind {
        // No time, no transactions: a server may well say that this is no use.
        Kind::Edge if variant.key.ends_with(".min") => Expected::Answer,
        Kind::Edge => Expected::Taken,
        Kind::Mode => Expected::NotServed,
        _ => Expected::Refusal,
    };
    let mut judged = expect(expected, Vec::new());
    if let Step::Expect { item: charged, .. } = &mut judged {
        *charged = Some(item.clone());
    }
    let control = Step::Fence(Fence {
        lane: lane(),
        item: None,
        silent: Vec::new(),
        command: None,
    });
    let (procedure, preconditions) = if sample.primitive == "Login-Request" {
        let steps = vec![
            send(variant.edits.clone()),
            judged,
            Step::Fence(Fence {
                lane: lane(),
                item: None,
                silent: Vec::new(),
                command: Some(Command::Login),
            }),
        ];
        (steps, Vec::new())
    } else {
        (vec![send(variant.edits.clone()), judged, control], login()?)
    };
    Some((item, procedure, preconditions))
}

pub(super) fn client_steps(sample: &Sample, variant: &Variant) -> Option<Parts> {
    if variant.kind == Kind::Mode {
        return None;
    }
    let item = ItemId::parse(match variant.kind {
        Kind::Edge => "CSP-TYPE-C-009",
        Kind::Refused(600 | 601 | 604) => "CSP-SESS-C-001",
        Kind::Refused(_) => "CSP-STATUS-C-002",
        Kind::Unanswered => "CSP-HTTP-C-005",
        _ => "CSP-ENV-C-015",
    })
    .ok()?;
    let on = |name: &str, item: Option<ItemId>| Step::On {
        incoming: Incoming {
            primitives: vec![name.to_owned()],
            times: 1,
            within_keep_alive: false,
        },
        item,
        tests: Vec::new(),
    };
    let plain = || Step::Reply {
        edits: Vec::new(),
        requests: Vec::new(),
        status: None,
        agree: Vec::new(),
    };
    let reply = |edits: Vec<Edit>| Step::Reply {
        edits,
        requests: sample.requests.clone(),
        status: None,
        agree: Vec::new(),
    };
    let request = sample.step.split('.').next().unwrap_or_default();
    let command = Command::sending(request)?;
    let again = |charged: Option<ItemId>| {
        vec![
            Step::Stimulate(vec![Command::Login]),
            on("Login-Request", charged),
            plain(),
        ]
    };
    let mut preconditions = if command == Command::Login {
        Vec::new()
    } else {
        again(None)
    };
    preconditions.extend([Step::Stimulate(vec![command]), on(request, None)]);
    if matches!(variant.kind, Kind::Refused(600 | 601 | 604)) {
        let silent = ["KeepAlive-Request", "Polling-Request", "Logout-Request"];
        let procedure = vec![
            reply(variant.edits.clone()),
            Step::Stimulate(vec![Command::KeepAlive]),
            Step::Fence(Fence {
                lane: "A".into(),
                item: None,
                silent: silent.map(str::to_owned).to_vec(),
                command: Some(Command::Login),
            }),
        ];
        return Some((item, procedure, preconditions));
    }
    let mut procedure = vec![reply(variant.edits.clone())];
    procedure.extend(again(Some(item.clone())));
    procedure.extend([
        Step::Stimulate(vec![Command::KeepAlive]),
        on("KeepAlive-Request", None),
        plain(),
    ]);
    Some((item, procedure, preconditions))
}

fn expect(expected: Expected, conditions: Vec<Condition>) -> Step {
    Step::Expect {
        expected,
        lane: "A".into(),
        item: None,
        tests: conditions
            .into_iter()
            .map(|condition| Test {
                item: None,
                condition,
                declines: false,
            })
            .collect(),
        codes: Codes::default(),
        patience: Patience::default(),
    }
}
