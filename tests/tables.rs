//! The embedded tables, cases and faults against each other.

use std::collections::BTreeSet;

use imps_scr::check::Rule;
use imps_scr::check::ssp::SspRule;
use imps_scr::run::Suite;
use imps_scr::spec::Role;

#[test]
fn every_general_rule_has_its_items() {
    let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
    for rule in Rule::ALL {
        for role in Role::CSP {
            let id = rule.item(role);
            // Poll and CIR are no matter of servers: only clients can break that rule.
            if rule == Rule::PollUse && role == Role::Server {
                continue;
            }
            assert!(
                suite.tables.items.get(&id).is_some(),
                "{id} of rule {}",
                rule.name()
            );
        }
    }
}

#[test]
fn every_general_rule_of_ssp_has_its_item() {
    let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
    let octets = Rule::WellFormed.item(Role::Ssp);
    for id in SspRule::ALL.into_iter().map(SspRule::item).chain([octets]) {
        let item = suite.tables.items.get(&id);
        assert!(item.is_some_and(|i| i.role == Role::Ssp), "{id}");
    }
    for primitive in suite.tables.ssp.primitives() {
        if let Some((group, number)) = primitive.item() {
            let id = imps_scr::check::ssp::item(group, number);
            assert!(
                suite.tables.items.get(&id).is_some(),
                "{id} of {}",
                primitive.name
            );
        }
    }
}

/// An item that no written fault breaks has never been seen to fail: the list of those is closed.
#[test]
fn every_item_has_a_fault_that_breaks_it() {
    let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
    let broken: BTreeSet<&str> = suite
        .faults
        .iter()
        .flat_map(|f| f.breaks.iter().map(|i| i.as_str()))
        .collect();
    let without: BTreeSet<&str> = suite
        .tables
        .items
        .iter()
        .filter(|i| i.untestable.is_none() && i.reconstructed)
        // What rests on an open fact can warn of nothing, so that no fault could show.
        .filter(|i| i.strength() > imps_scr::verdict::Strength::Note)
        .map(|i| i.id.as_str())
        .filter(|id| !broken.contains(id))
        .collect();
    let known = [
        // Values of this type are sent by no client.
        "CSP-TYPE-C-004",
        // Generated mutants break these: success in place of the refusal.
        "CSP-SENDM-S-026",
        "CSP-SENDM-S-030",
    ];
    assert_eq!(without, BTreeSet::from(known), "items without a fault");
}

#[test]
fn every_case_and_item_meet() {
    let suite = Suite::embedded().unwrap_or_else(|e| panic!("{e}"));
    let tested: BTreeSet<&str> = suite
        .cases
        .iter()
        .flat_map(|c| c.scr.iter().map(|i| i.as_str()))
        .collect();
    for item in suite
        .tables
        .items
        .iter()
        .filter(|i| i.untestable.is_none() && i.reconstructed)
    {
        let group = item.id.as_str().split('-').nth(1).unwrap_or("");
        // General rules run on every message and need no case of their own.
        let general = matches!(group, "ENV" | "TYPE" | "HTTP");
        assert!(
            general || tested.contains(item.id.as_str()),
            "{} has no case",
            item.id
        );
    }
}
