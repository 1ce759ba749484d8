//! Requests about presence with contents of every kind. The word behind the point names a use
//! (`GetWatcherList-Request.most`) or presence attributes (`GetPresence-Request.StatusText+Alias`).

use crate::message::{Elem, text};
use crate::spec::{Group, Version};

use super::contents::{selection, user};
use super::names::Names;
use super::samples::attribute;

/// The attributes that a client publishes, in the order of the model.
const PUBLISHED: &[&str] = &[
    "Registration",
    "ClientInfo",
    "TimeZone",
    "GeoLocation",
    "Address",
    "FreeTextLocation",
    "PLMN",
    "CommCap",
    "UserAvailability",
    "PreferredContacts",
    "PreferredLanguage",
    "StatusText",
    "StatusMood",
    "Alias",
    "StatusContent",
    "ContactInfo",
    "InfoLink",
];

/// The request of this name, or none when it is not one of presence.
pub fn request(version: Version, name: &str, names: &Names) -> Option<Elem> {
    let (primitive, word) = name.split_once('.')?;
    let it = Elem::new(primitive);
    let v12 = version >= Version::V12;
    let peer = || text("UserID", names.peer.clone());
    let list = || text("ContactList", names.list());
    let auto = |value: &str| v12.then(|| text("AutoSubscribe", value));
    let only_default = |value: &str| text("DefaultList", value);
    let selected = || match word {
        "every" => Some(all(version)),
        words => attributes(version, words),
    };
    Some(match (primitive, word) {
        ("SubscribePresence-Request", "auto") => it
            .with(list())
            .with(selection(version, &["StatusText"]))
            .with_some(auto("T")),
        ("SubscribePresence-Request", _) => it
            .with(user(&names.peer))
            .with(selection(version, &selected()?))
            .with_some(auto("F")),
        ("UnsubscribePresence-Request" | "GetPresence-Request", "list") => it.with(list()),
        ("GetPresence-Request", _) => it.with(user(&names.peer)).with(selection(version, &selected()?)),
        ("GetWatcherList-Request", "period") if v12 => it.with(text("HistoryPeriod", "3600")),
        ("GetWatcherList-Request", "most") if v12 => it.with(text("MaxWatcherList", "1")),
        ("PresenceAuth-User", "deny") => it.with(peer()).with(text("Acceptance", "F")),
        ("PresenceAuth-User", words) if v12 => it
            .with(peer())
            .with(text("Acceptance", "T"))
            .with(selection(version, &attributes(version, words)?)),
        ("GetReactiveAuthStatus-Request", "all") if v12 => it,
        ("CreateAttributeList-Request", "list") => it
            .with(selection(version, &["UserAvailability", "StatusText"]))
            .with(list())
            .with(only_default("F")),
        ("CreateAttributeList-Request", _) => it
            .with(selection(version, &selected()?))
            .with(peer())
            .with(only_default("F")),
        ("DeleteAttributeList-Request", "list") => it.with(list()).with(only_default("F")),
        ("GetAttributeList-Request", "list") => it.with(only_default("F")).with(list()),
        ("GetAttributeList-Request", "every") => it.with(only_default("F")),
        ("UpdatePresence-Request", "every") => {
            let of_version: Vec<&str> = all(version)
                .into_iter()
                .filter(|a| *a != "OnlineStatus")
                .collect();
            it.with(values(version, &of_version))
        }
        // What was published is not valid any longer.
        ("UpdatePresence-Request", "cleared") => {
            let published = PUBLISHED.iter().filter(|a| v12 || **a != "InfoLink");
            it.with(sub_list(version).with_all(published.map(|a| Elem::new(a).with(text("Qualifier", "F")))))
        }
        ("UpdatePresence-Request", words) => it.with(values(version, &attributes(version, words)?)),
        _ => return None,
    })
}

/// Every attribute of a version.
fn all(version: Version) -> Vec<&'static str> {
    let published = PUBLISHED
        .iter()
        .copied()
        .filter(|a| version >= Version::V12 || *a != "InfoLink");
    std::iter::once("OnlineStatus").chain(published).collect()
}

/// Attributes by their names, in the order of the model; none when the version does not have one of them.
fn attributes(version: Version, words: &str) -> Option<Vec<&'static str>> {
    let known = all(version);
    let words: Vec<&str> = words.split('+').collect();
    let has_all = words.iter().all(|word| known.contains(word));
    has_all.then(|| known.into_iter().filter(|a| words.contains(a)).collect())
}

fn sub_list(version: Version) -> Elem {
    Elem::new("PresenceSubList").in_namespace(version.namespace(Group::Pa))
}

/// `PresenceSubList` with a value for each of these attributes.
pub fn values(version: Version, attributes: &[&str]) -> Elem {
    sub_list(version).with_all(attributes.iter().map(|a| value(a)))
}

/// Every attribute of a version with a value.
pub fn every_value(version: Version) -> Elem {
    values(version, &all(version))
}

/// A value of an attribute that uses all its parts.
fn value(name: &str) -> Elem {
    let simple = |value: &str| attribute(name, value);
    let with = |parts: &[(&str, &str)]| {
        Elem::new(name)
            .with(text("Qualifier", "T"))
            .with_all(parts.iter().map(|(n, v)| text(n, *v)))
    };
    let part =
        |name: &str, parts: &[(&str, &str)]| Elem::new(name).with_all(parts.iter().map(|(n, v)| text(n, *v)));
    match name {
        "ClientInfo" => with(&[
            ("ClientType", "MOBILE_PHONE"),
            ("DevManufacturer", "Phones & Sons"),
            ("ClientProducer", "Acme <Software>"),
            ("Model", "Zwölf"),
            ("ClientVersion", "1.2.3"),
            ("Language", "eng"),
        ]),
        "TimeZone" => with(&[("Zone", "+02")]),
        "GeoLocation" => with(&[
            ("Longitude", "35 24 15.652W"),
            ("Latitude", "12 36 22.5N"),
            ("Altitude", "120"),
            ("Accuracy", "50"),
        ]),
        "Address" => with(&[
            ("Country", "FI"),
            ("City", "Jyväskylä"),
            ("Street", "Kauppakatu & more"),
            ("Crossing1", "Asemakatu"),
            ("Crossing2", "Gummeruksenkatu"),
            ("Building", "7 <b>"),
            ("NamedArea", "Keskusta"),
            ("Accuracy", "10"),
        ]),
        "FreeTextLocation" => simple("Café \"Zur Brücke\" & <garden>"),
        "PLMN" => simple("Operator 24405"),
        "CommCap" => Elem::new(name)
            .with(text("Qualifier", "T"))
            .with(part(
                "CommC",
                &[
                    ("Cap", "CALL"),
                    ("Status", "OPEN"),
                    ("Contact", "+358401234567"),
                    ("Note", "by day & night"),
                ],
            ))
            .with(part("CommC", &[("Cap", "SMS"), ("Status", "CLOSED")])),
        "UserAvailability" => simple("DISCREET"),
        "PreferredContacts" => Elem::new(name)
            .with(text("Qualifier", "T"))
            .with(part(
                "AddrPref",
                &[
                    ("PrefC", "IM"),
                    ("Caddr", "wv:other@example.com"),
                    ("Cstatus", "OPEN"),
                    ("Cname", "Grüße & more"),
                    ("Cpriority", "1"),
                ],
            ))
            .with(part(
                "AddrPref",
                &[
                    ("PrefC", "EMAIL"),
                    ("Caddr", "other@example.com"),
                    ("Cstatus", "CLOSED"),
                ],
            )),
        "PreferredLanguage" => simple("fin"),
        "StatusText" => simple("At <work> & glad, 日本語 grüße"),
        "StatusMood" => simple("HAPPY"),
        "Alias" => simple("Jörg & \"Co\""),
        "StatusContent" => with(&[
            ("DirectContent", "R3LDvMOfZSAmIDxoaT4="),
            ("ContentType", "text/plain"),
        ]),
        "ContactInfo" => with(&[(
            "ContainedvCard",
            "BEGIN:VCARD\nVERSION:2.1\nN:Doe;John & Jane\nEND:VCARD",
        )]),
        "InfoLink" => Elem::new(name)
            .with(text("Qualifier", "T"))
            .with(part(
                "Inf_link",
                &[
                    ("Link", "http://www.example.com/a?b=c&d=e"),
                    ("Text", "a <link>"),
                    ("ContentType", "text/html"),
                ],
            ))
            .with(part("Inf_link", &[("Link", "http://www.example.com/")])),
        _ => simple("T"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileSet;
    use crate::spec::syntax::Syntax;

    #[test]
    fn the_attributes_are_those_of_the_tables() {
        let syntax = Syntax::from_files(&FileSet::tables()).unwrap_or_else(|e| panic!("{e}"));
        for version in Version::ALL {
            let of_tables: Vec<&str> = syntax
                .presence()
                .iter()
                .filter(|a| a.since <= *version)
                .map(|a| a.name.as_str())
                .collect();
            assert_eq!(all(*version), of_tables);
        }
    }

    #[test]
    fn words_select_attributes() {
        assert_eq!(
            attributes(Version::V11, "Alias+StatusText"),
            Some(vec!["StatusText", "Alias"])
        );
        assert_eq!(attributes(Version::V11, "InfoLink"), None);
        assert_eq!(attributes(Version::V12, "default"), None);
    }
}
