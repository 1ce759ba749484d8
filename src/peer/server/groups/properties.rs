//! Properties of groups, and of users in them (section 6.5 of the facts).

use crate::message::{Elem, NodeId, text};
use crate::peer::samples::property;
use crate::spec::Version;

use super::super::world::Call;

/// Properties of a group.
#[derive(Debug, Clone)]
pub(super) struct GroupProperties {
    pub name: Option<String>,
    pub topic: Option<String>,
    pub restricted: bool,
    pub private: bool,
    pub private_messaging: bool,
    pub searchable: bool,
    pub max_active_users: Option<u32>,
    pub auto_delete: bool,
    pub validity: Option<u32>,
    pub welcome: Option<Elem>,
}

impl Default for GroupProperties {
    fn default() -> Self {
        Self {
            name: None,
            topic: None,
            restricted: false,
            private: true,
            private_messaging: true,
            searchable: false,
            max_active_users: None,
            auto_delete: false,
            validity: None,
            welcome: None,
        }
    }
}

/// What a user chose in a group.
#[derive(Debug, Clone)]
pub(super) struct OwnProperties {
    pub private_messaging: bool,
    pub auto_join: bool,
    pub show_id: bool,
}

impl Default for OwnProperties {
    fn default() -> Self {
        Self {
            private_messaging: true,
            auto_join: false,
            show_id: false,
        }
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "T" => Some(true),
        "F" => Some(false),
        _ => None,
    }
}

fn written(value: bool) -> &'static str {
    if value { "T" } else { "F" }
}

/// Names and values of the properties in an element.
fn pairs(call: &Call<'_>, of: NodeId) -> Vec<(String, String)> {
    call.tree
        .elements(of)
        .filter(|e| call.tree.get(*e).name == "Property")
        .map(|e| {
            let read = |name| call.tree.child_text(e, name).unwrap_or_default();
            (read("Name"), read("Value"))
        })
        .collect()
}

impl GroupProperties {
    /// Takes what an element says; none when something in it is unknown, wrong, or cannot be set. Names are
    /// compared without case, since the printed examples spell one of them in two ways.
    pub fn changed(&self, call: &Call<'_>, of: NodeId, creating: bool) -> Option<Self> {
        let mut out = self.clone();
        for (name, value) in pairs(call, of) {
            let known = call.version >= Version::V12;
            match name.to_lowercase().as_str() {
                "name" => out.name = Some(value).filter(|v| !v.is_empty()),
                "topic" => out.topic = Some(value).filter(|v| !v.is_empty()),
                "accesstype" if creating => {
                    out.restricted = match value.as_str() {
                        "Open" => false,
                        "Restricted" => true,
                        _ => return None,
                    }
                }
                "type" if creating => {
                    out.private = match value.as_str() {
                        "Public" => false,
                        "Private" => true,
                        _ => return None,
                    }
                }
                "privatemessaging" => out.private_messaging = flag(&value)?,
                "searchable" => out.searchable = flag(&value)?,
                "maxactiveusers" => out.max_active_users = Some(value.parse().ok()?),
                "autodelete" if known => out.auto_delete = flag(&value)?,
                "validity" if known => out.validity = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        if let Some(note) = call.tree.child(of, "WelcomeNote") {
            let mut welcome = Elem::new("WelcomeNote");
            for child in call.tree.elements(note) {
                welcome = welcome.with(text(&call.tree.get(child).name, call.tree.text(child)));
            }
            out.welcome = Some(welcome);
        }
        Some(out)
    }

    /// Whether it can be searched for by nothing but its address.
    pub fn hides_from_search(&self) -> bool {
        self.searchable && self.name.is_none() && self.topic.is_none()
    }

    /// As GetGroupProps-Response gives them.
    pub fn element(&self, version: Version, active: usize) -> Elem {
        let v12 = version >= Version::V12;
        let some = |name: &str, value: Option<String>| value.map(|v| property(name, &v));
        Elem::new("GroupProperties")
            .with_some(some("Name", self.name.clone()))
            .with(property(
                "AccessType",
                if self.restricted { "Restricted" } else { "Open" },
            ))
            .with(property("Type", if self.private { "Private" } else { "Public" }))
            .with(property("PrivateMessaging", written(self.private_messaging)))
            .with(property("Searchable", written(self.searchable)))
            .with_some(some("Topic", self.topic.clone()))
            .with(property("ActiveUsers", &active.to_string()))
            .with_some(some(
                "MaxActiveUsers",
                self.max_active_users.map(|n| n.to_string()),
            ))
            .with_some(v12.then(|| property("AutoDelete", written(self.auto_delete))))
            .with_some(some(
                "Validity",
                self.validity.filter(|_| v12).map(|n| n.to_string()),
            ))
            .with_some(self.welcome.clone())
    }
}

impl OwnProperties {
    /// Takes what an element says; none when something in it is unknown, wrong, or cannot be set.
    pub fn changed(&self, call: &Call<'_>, of: NodeId) -> Option<Self> {
        let mut out = self.clone();
        for (name, value) in pairs(call, of) {
            match name.to_lowercase().as_str() {
                "privatemessaging" => out.private_messaging = flag(&value)?,
                "autojoin" => out.auto_join = flag(&value)?,
                "showid" if call.version >= Version::V12 => out.show_id = flag(&value)?,
                _ => return None,
            }
        }
        Some(out)
    }

    /// As GetGroupProps-Response gives them, with what the group says of the user.
    pub fn element(&self, version: Version, level: Option<&str>) -> Elem {
        let v12 = version >= Version::V12;
        Elem::new("OwnProperties")
            .with(property("PrivateMessaging", written(self.private_messaging)))
            .with(property("IsMember", written(level.is_some())))
            .with(property("PrivilegeLevel", level.unwrap_or("User")))
            .with(property("AutoJoin", written(self.auto_join)))
            .with_some(v12.then(|| property("ShowID", written(self.show_id))))
    }
}
