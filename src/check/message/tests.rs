use super::*;
use crate::base::FileSet;
use crate::message::{Carrier, Elem, empty, text};

fn checker() -> Checker {
    Checker::new(Arc::new(Syntax::from_files(&FileSet::tables()).unwrap()))
}

fn wrap(version: Version, id: Option<&str>, mode: &str, primitive: Elem) -> Elem {
    let session_type = if id.is_some() { "Inband" } else { "Outband" };
    Elem::new("WV-CSP-Message")
        .in_namespace(version.namespace(Group::Csp))
        .with(
            Elem::new("Session")
                .with(
                    Elem::new("SessionDescriptor")
                        .with(text("SessionType", session_type))
                        .with_some(id.map(|i| text("SessionID", i))),
                )
                .with(
                    Elem::new("Transaction")
                        .with(
                            Elem::new("TransactionDescriptor")
                                .with(text("TransactionMode", mode))
                                .with(text("TransactionID", "t1")),
                        )
                        .with(
                            Elem::new("TransactionContent")
                                .in_namespace(version.namespace(Group::Trc))
                                .with(primitive),
                        ),
                ),
        )
}

fn status(code: &str) -> Elem {
    empty("Status").with(empty("Result").with(text("Code", code)))
}

fn judge(tree: Tree) -> Checked {
    let carrier = Carrier {
        charset: "UTF-8".to_owned(),
        ..Carrier::default()
    };
    checker().check(&Message { tree, carrier })
}

fn charged(tree: Tree) -> Vec<(Rule, Strength)> {
    judge(tree)
        .findings
        .iter()
        .map(|f| (f.rule, f.strength))
        .collect()
}

fn status_tree() -> Tree {
    wrap(Version::V12, Some("s1"), "Response", status("200")).into_tree()
}

fn find(tree: &Tree, name: &str) -> NodeId {
    *tree
        .walk(tree.root())
        .iter()
        .find(|id| tree.get(**id).name == name)
        .unwrap()
}

#[test]
fn a_sound_message_leaves_evidence_only() {
    let checked = judge(status_tree());
    assert_eq!(checked.findings, []);
    assert_eq!(checked.version, Some(Version::V12));
    assert_eq!(checked.sender, None);
    assert_eq!(checked.primitives, "Status");
    assert_eq!(
        checked.judged[&Rule::ContentModel].first,
        "13 elements match their content models"
    );
    assert_eq!(checked.judged[&Rule::ResultCode].count, 1);
}

#[test]
fn one_defect_is_one_finding() {
    use Strength::{Must, Should};
    let edit = |change: &dyn Fn(&mut Tree)| {
        let mut tree = status_tree();
        change(&mut tree);
        charged(tree)
    };
    let content = vec![(Rule::ContentModel, Must)];
    let dropped = edit(&|t| {
        t.detach(find(t, "SessionDescriptor"));
    });
    assert_eq!(dropped, content);
    let unknown = edit(&|t| {
        let session = find(t, "Session");
        let namespace = t.get(session).namespace.clone();
        let stranger = t.push(session, "Foo", namespace);
        t.push(stranger, "Bar", "");
    });
    assert_eq!(unknown, content);
    let renamed = edit(&|t| t.get_mut(find(t, "Result")).name = "Rezult".to_owned());
    assert_eq!(renamed, content);
    let swapped = edit(&|t| {
        let descriptor = find(t, "TransactionDescriptor");
        let (parent, _) = t.detach(descriptor).unwrap();
        t.attach(parent, descriptor, usize::MAX);
    });
    assert_eq!(swapped, content);
    let stray = edit(&|t| t.push_text(find(t, "Result"), "stray", Position::default()));
    assert_eq!(stray, content);
    let nested = edit(&|t| {
        t.push(find(t, "Code"), "X", "");
    });
    assert_eq!(nested, content);
    let open_row = edit(&|t| {
        let descriptor = find(t, "TransactionDescriptor");
        let namespace = t.get(descriptor).namespace.clone();
        t.push(descriptor, "Foo", namespace);
    });
    assert_eq!(open_row, [(Rule::ContentModel, Should)]);
    let no_id = edit(&|t| {
        t.detach(find(t, "TransactionID"));
    });
    assert_eq!(no_id, [], "a Status may answer a poll, which has no identifier");
    let session_id = edit(&|t| {
        t.detach(find(t, "SessionID"));
    });
    assert_eq!(session_id, [(Rule::SessionIdPresence, Must)]);
    let word = edit(&|t| t.set_text(find(t, "SessionType"), "inband"));
    assert_eq!(word, [(Rule::TypeBool, Must)]);
    let mode = edit(&|t| t.set_text(find(t, "TransactionMode"), "Request"));
    assert_eq!(mode, [(Rule::ModeUse, Should)]);
    let code = edit(&|t| t.set_text(find(t, "Code"), "299"));
    assert_eq!(code, [(Rule::ResultCode, Should)]);
    let number = edit(&|t| t.set_text(find(t, "Code"), "two hundred"));
    assert_eq!(number, [(Rule::TypeUint, Must)]);
    let long = edit(&|t| t.set_text(find(t, "TransactionID"), &"x".repeat(51)));
    assert_eq!(long, [(Rule::Length, Should)]);
}

#[test]
fn a_wrong_namespace_is_charged_alone() {
    let namespace = vec![(Rule::Namespace, Strength::Must)];
    for (element, wrong) in [
        ("WV-CSP-Message", Version::V11.namespace(Group::Csp)),
        ("WV-CSP-Message", "urn:x"),
        ("WV-CSP-Message", ""),
        ("TransactionContent", "urn:x"),
        ("TransactionContent", Version::V12.namespace(Group::Csp)),
        ("Code", "urn:x"),
    ] {
        let mut tree = wrap(
            Version::V12,
            Some("s1"),
            "Request",
            empty("VerifyID-Request").with(empty("IDList")),
        )
        .into_tree();
        if element == "Code" {
            tree = status_tree();
        }
        let at = find(&tree, element);
        let old = tree.get(at).namespace.clone();
        for id in tree.walk(at) {
            if tree.get(id).namespace == old {
                tree.get_mut(id).namespace = wrong.to_owned();
            }
        }
        let rules: Vec<_> = charged(tree)
            .into_iter()
            .filter(|(r, _)| *r != Rule::ContentModel)
            .collect();
        assert_eq!(rules, namespace, "{element} {wrong}");
    }
}

#[test]
fn unknown_roots_are_told_and_nothing_else_is_judged() {
    assert_eq!(
        charged(Tree::new("html", "")),
        [(Rule::Namespace, Strength::Must)]
    );
    let discovery = Elem::new("WV-CSP-VersionDiscovery-Request").with(empty("VersionList"));
    assert_eq!(charged(discovery.into_tree()), []);
}

#[test]
fn clients_do_not_poll_by_flag() {
    let mut tree = wrap(Version::V12, Some("s"), "Request", empty("Logout-Request")).into_tree();
    let session = find(&tree, "Session");
    let namespace = tree.get(session).namespace.clone();
    let poll = tree.push(session, "Poll", namespace);
    tree.set_text(poll, "F");
    let checked = judge(tree);
    assert_eq!(checked.sender, Some(Role::Client));
    assert_eq!(checked.findings.len(), 1);
    assert_eq!(checked.findings[0].rule, Rule::PollUse);
}

#[test]
fn findings_are_limited_and_the_rest_counted() {
    let mut tree = status_tree();
    for id in tree.walk(tree.root()) {
        for i in 0..3 {
            tree.get_mut(id).attributes.push(crate::message::Attribute {
                namespace: String::new(),
                name: format!("a{i}"),
                value: String::new(),
            });
        }
    }
    let checked = judge(tree);
    assert_eq!(checked.findings.len(), MAX_FINDINGS_PER_ITEM);
    assert_eq!(checked.left_out[&Rule::Attributes], 39 - MAX_FINDINGS_PER_ITEM);
}

#[test]
fn compiling_all_models_is_quick() {
    let syntax = Arc::new(Syntax::from_files(&FileSet::tables()).unwrap());
    let begun = std::time::Instant::now();
    let checker = Checker::new(syntax);
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    let (automata, states) = checker.size();
    println!("{automata} automata, {states} states, {:?}", begun.elapsed());
    assert!(automata > 300);
}

#[test]
fn a_long_run_of_defects_is_judged_quickly() {
    let mut tree = status_tree();
    let result = find(&tree, "Result");
    let namespace = tree.get(result).namespace.clone();
    for _ in 0..30_000 {
        tree.push(result, "Code", namespace.clone());
        tree.push(result, "Description", namespace.clone());
    }
    let begun = std::time::Instant::now();
    let checked = judge(tree);
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert!(checked.left_out[&Rule::ContentModel] > 10_000);
}
