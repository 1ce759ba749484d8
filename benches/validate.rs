//! What it costs to judge a typical message: reading, checking, both, and getting ready.

use std::sync::Arc;

use imps_scr::base::FileSet;
use imps_scr::check::Checker;
use imps_scr::codec::{WriteOptions, read, write};
use imps_scr::message::{Elem, empty, text};
use imps_scr::spec::syntax::Syntax;
use imps_scr::spec::{Group, Version};

fn main() {
    divan::main();
}

/// A presence notification about as long as those of a phone.
fn typical() -> Vec<u8> {
    let version = Version::V12;
    let presence = |n: usize| {
        empty("Presence")
            .with(text("UserID", format!("wv:user{n}@example.com")))
            .with(
                Elem::new("PresenceSubList")
                    .in_namespace(version.namespace(Group::Pa))
                    .with(
                        empty("OnlineStatus")
                            .with(text("Qualifier", "T"))
                            .with(text("PresenceValue", "T")),
                    )
                    .with(
                        empty("UserAvailability")
                            .with(text("Qualifier", "T"))
                            .with(text("PresenceValue", "AVAILABLE")),
                    ),
            )
    };
    let message = Elem::new("WV-CSP-Message")
        .in_namespace(version.namespace(Group::Csp))
        .with(
            empty("Session")
                .with(
                    empty("SessionDescriptor")
                        .with(text("SessionType", "Inband"))
                        .with(text("SessionID", "s1")),
                )
                .with(
                    empty("Transaction")
                        .with(
                            empty("TransactionDescriptor")
                                .with(text("TransactionMode", "Request"))
                                .with(text("TransactionID", "t1")),
                        )
                        .with(
                            Elem::new("TransactionContent")
                                .in_namespace(version.namespace(Group::Trc))
                                .with(empty("PresenceNotification-Request").with_all((0..10).map(presence))),
                        ),
                ),
        );
    write(&message.into_tree(), &WriteOptions::default())
}

fn checker() -> Checker {
    Checker::new(Arc::new(
        Syntax::from_files(&FileSet::tables()).expect("the embedded tables are sound"),
    ))
}

#[divan::bench]
fn parse(bencher: divan::Bencher<'_, '_>) {
    let octets = typical();
    bencher
        .counter(divan::counter::BytesCount::of_slice(&octets))
        .bench(|| read(&octets, None));
}

#[divan::bench]
fn parse_and_check(bencher: divan::Bencher<'_, '_>) {
    let (octets, checker) = (typical(), checker());
    bencher
        .counter(divan::counter::BytesCount::of_slice(&octets))
        .bench(|| {
            let message = read(&octets, None).message.expect("a sound message");
            checker.check(&message)
        });
}

#[divan::bench]
fn compile_models(bencher: divan::Bencher<'_, '_>) {
    let syntax = Arc::new(Syntax::from_files(&FileSet::tables()).expect("the embedded tables are sound"));
    bencher.bench(|| Checker::new(Arc::clone(&syntax)));
}
