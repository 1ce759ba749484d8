//! The service tree as a set of function codes: what a request wants, what an answer does not grant.

use std::collections::BTreeSet;

use crate::message::{NodeId, Tree};
use crate::spec::Version;
use crate::spec::syntax::Syntax;

/// Function codes; a marker of 1.2 stands under its own name (`MF`).
pub type Functions = BTreeSet<String>;

/// The functions that a `Functions` or `AllFunctions` element names: an empty element names all below
/// it, and an empty `WVCSPFeat` everything (SN-1, SN-2).
pub fn functions(syntax: &Syntax, version: Version, tree: &Tree, of: NodeId) -> Functions {
    let mut out = Functions::new();
    let Some(root) = tree.child(of, "WVCSPFeat") else {
        return out;
    };
    let whole = tree.elements(root).next().is_none();
    for feature in syntax.features() {
        let found = tree.child(root, &feature.name);
        let all_of_feature = whole || found.is_some_and(|f| tree.elements(f).next().is_none());
        if let (Some(marker), Some(found)) = (&feature.marker, found)
            && tree.child(found, &marker.code).is_some()
        {
            out.insert(marker.code.clone());
        }
        for group in &feature.groups {
            let found = found.and_then(|f| tree.child(f, &group.name));
            let all = all_of_feature || found.is_some_and(|g| tree.elements(g).next().is_none());
            for function in group.functions.iter().filter(|f| f.since <= version) {
                // GETJU may stand in either of two groups (Q4).
                let named = found.is_some_and(|g| tree.child(g, &function.code).is_some());
                if all || named {
                    out.insert(function.code.clone());
                }
            }
        }
        if let Some(feature) = found
            && tree
                .elements(feature)
                .any(|group| tree.child(group, "GETJU").is_some())
        {
            out.insert("GETJU".to_owned());
        }
    }
    out
}

/// Paths below `WVCSPFeat` that name exactly these functions, whole groups and features as one empty
/// element: what an engine writes.
pub fn paths(syntax: &Syntax, version: Version, functions: &Functions) -> Vec<String> {
    let mut out = Vec::new();
    for feature in syntax.features() {
        let groups: Vec<(&str, Vec<&str>)> = feature
            .groups
            .iter()
            .map(|g| {
                let of_version = g.functions.iter().filter(|f| f.since <= version);
                (g.name.as_str(), of_version.map(|f| f.code.as_str()).collect())
            })
            .filter(|(_, codes): &(&str, Vec<&str>)| !codes.is_empty())
            .collect();
        let has = |code: &&str| functions.contains(*code);
        if let Some(marker) = feature.marker.as_ref().filter(|m| functions.contains(&m.code)) {
            // A marker stands alone in its feature.
            out.push(format!("{}/{}", feature.name, marker.code));
            continue;
        }
        if groups.iter().all(|(_, codes)| codes.iter().all(has)) {
            out.push(feature.name.clone());
            continue;
        }
        for (name, codes) in &groups {
            if codes.iter().all(has) {
                out.push(format!("{}/{name}", feature.name));
                continue;
            }
            out.extend(
                codes
                    .iter()
                    .filter(|c| has(c))
                    .map(|code| format!("{}/{name}/{code}", feature.name)),
            );
        }
    }
    out
}

/// Every function of a version.
pub fn all(syntax: &Syntax, version: Version) -> Functions {
    let groups = syntax.features().iter().flat_map(|f| &f.groups);
    groups
        .flat_map(|g| &g.functions)
        .filter(|f| f.since <= version)
        .map(|f| f.code.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileSet;
    use crate::message::Elem;

    fn of(feat: Elem) -> Functions {
        let syntax = Syntax::from_files(&FileSet::tables()).unwrap_or_else(|e| panic!("{e}"));
        let tree = Elem::new("Functions").with(feat).into_tree();
        functions(&syntax, Version::V12, &tree, tree.root())
    }

    #[test]
    fn an_empty_element_names_all_below_it() {
        let syntax = Syntax::from_files(&FileSet::tables()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(of(Elem::new("WVCSPFeat")), all(&syntax, Version::V12));
        let search = Elem::new("FundamentalFeat").with(Elem::new("SearchFunc"));
        let found = of(Elem::new("WVCSPFeat").with(search));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["SRCH", "STSRC"]);
        assert_eq!(all(&syntax, Version::V11).len(), 38);
        assert_eq!(all(&syntax, Version::V12).len(), 41);
    }

    #[test]
    fn markers_stand_for_themselves_and_getju_in_either_group() {
        let marked = Elem::new("WVCSPFeat").with(Elem::new("FundamentalFeat").with(Elem::new("MF")));
        assert_eq!(of(marked).into_iter().collect::<Vec<_>>(), ["MF"]);
        let other = Elem::new("GroupFeat").with(Elem::new("GroupUseFunc").with(Elem::new("GETJU")));
        assert_eq!(
            of(Elem::new("WVCSPFeat").with(other))
                .into_iter()
                .collect::<Vec<_>>(),
            ["GETJU"]
        );
    }

    #[test]
    fn paths_name_the_same_functions_again() {
        let syntax = Syntax::from_files(&FileSet::tables()).unwrap_or_else(|e| panic!("{e}"));
        let mut some = all(&syntax, Version::V12);
        some.remove("GETSPI");
        some.remove("REACT");
        let paths = paths(&syntax, Version::V12, &some);
        assert!(
            paths.contains(&"FundamentalFeat/SearchFunc".to_owned()),
            "{paths:?}"
        );
        assert!(paths.contains(&"GroupFeat".to_owned()));
        assert!(paths.contains(&"PresenceFeat/PresenceAuthFunc/GETWL".to_owned()));
    }
}
