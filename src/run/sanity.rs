//! A login and logout before and after a run, judged by nobody: is the server there, does it speak the
//! version?

use crate::base::CaseId;
use crate::case::Case;
use crate::record::Failure;
use crate::spec::{Role, Version};

use super::expectation::Answer;
use super::judge::{describe, first_code};
use super::server_iut::Runner;
use super::suite::Suite;
use super::target::ServerTarget;

/// What a login and logout before and after a run can show.
#[derive(Debug)]
pub enum Sanity {
    /// No connection.
    Unreachable(String),
    /// The version is refused with this code.
    VersionRefused(u16),
    /// Something else.
    Trouble(String),
}

/// One login and logout in a version; without accounts, one login of a user that does not exist.
pub async fn sanity(suite: &Suite, target: &ServerTarget, version: Version) -> Option<Sanity> {
    let lane = if target.accounts.contains_key("A") {
        "A"
    } else {
        "none"
    };
    let case = Case {
        id: CaseId::parse("sanity").ok()?,
        title: String::new(),
        object: Role::Server,
        description: String::new(),
        reference: String::new(),
        scr: Vec::new(),
        versions: vec![version],
        tags: vec!["no-account".to_owned()],
        covers: Vec::new(),
        preconditions: Vec::new(),
        procedure: Vec::new(),
        after: Vec::new(),
        pass: String::new(),
        file: String::new(),
        line: 0,
    };
    let mut runner = Runner::new(suite, target, &case, version);
    if let Err(stop) = runner.send(&["Login-Request".to_owned()], lane, &[]).await {
        return Some(Sanity::Trouble(format!("{stop:?}")));
    }
    let (answer, _) = runner.lanes.get(lane)?.answer.clone()?;
    let problem = match answer {
        Answer::Failed(Failure::Unreachable(why) | Failure::Tls(why)) => Some(Sanity::Unreachable(why)),
        Answer::Failed(failure) => Some(Sanity::Trouble(failure.to_string())),
        Answer::Message(message) => match first_code(&message.tree) {
            Some(505) => Some(Sanity::VersionRefused(505)),
            _ if lane == "A" && runner.lanes.get(lane)?.engine.session().is_none() => {
                Some(Sanity::Trouble(format!(
                    "the login of account A is answered by {}",
                    describe(&message.tree)
                )))
            }
            _ => None,
        },
        Answer::Empty => Some(Sanity::Trouble("a login is answered by an empty body".to_owned())),
        Answer::Refused(status) => Some(Sanity::Trouble(format!("a login is answered by HTTP {status}"))),
        Answer::Unreadable(what) => Some(Sanity::Trouble(format!("a login is answered by {what}"))),
    };
    runner.log_out().await;
    problem
}
