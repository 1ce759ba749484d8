//! Every limit of the suite in one place. Reaching one is reported as a finding or an error that
//! names the limit; nothing is silently cut.

/// Longest message body that is read, in octets. A CSP message of a phone is a few kilobytes; the
/// largest real one seen (a contact list of 500 entries) is below 100 kB.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Deepest nesting of elements in a message. The deepest valid CSP 1.2 path has 14 levels.
pub const MAX_DEPTH: usize = 64;
/// Most elements in one message.
pub const MAX_NODES: usize = 100_000;
/// Most attributes on one element.
pub const MAX_ATTRIBUTES: usize = 64;
/// Most namespace declarations in one message. A valid message needs three, a contact list with
/// presence one more per user.
pub const MAX_NAMESPACE_DECLARATIONS: usize = 2_000;
/// Most *distinct* namespace declarations that are open at one place. Distinct nested declarations
/// are what makes namespace resolution expensive.
pub const MAX_NAMESPACES_IN_SCOPE: usize = 32;
/// Longest internal subset of a document type declaration, in octets. No CSP message has one.
pub const MAX_INTERNAL_SUBSET: usize = 4 * 1024;
/// Findings kept per message and item; the rest are counted.
pub const MAX_FINDINGS_PER_ITEM: usize = 20;
/// Octets of one body that are kept in a transcript or shown in a report.
pub const MAX_SHOWN_BODY: usize = 16 * 1024;
/// Longest line of a transcript that is read, in octets. The longest that a run writes tells of every
/// item at the end: some hundred kilobytes.
pub const MAX_TRANSCRIPT_LINE: usize = 8 * 1024 * 1024;
/// Most lines of a transcript that are read; a whole run writes some thousand.
pub const MAX_TRANSCRIPT_LINES: usize = 500_000;
/// Largest transcript that is read, in octets; a whole run writes a few million, a long watch some hundred.
pub const MAX_TRANSCRIPT: usize = 512 * 1024 * 1024;
/// Octets of raw traffic kept per connection and direction, to explain what no HTTP parser takes.
pub const MAX_RECORDED_WIRE: usize = 64 * 1024;
/// Largest YAML file (table, case, profile, ICS) in octets.
pub const MAX_YAML: usize = 8 * 1024 * 1024;
/// Deepest nesting in a YAML file.
pub const MAX_YAML_DEPTH: usize = 32;
/// Messages that a run which makes nobody act (a watch, a proxy) keeps in memory before it stops by itself.
pub const MAX_PASSIVE_EXCHANGES: usize = 50_000;
/// Longest line of a driver, in octets.
pub const MAX_DRIVER_LINE: usize = 64 * 1024;
/// Most lines of a driver that are no answer while one is awaited.
pub const MAX_DRIVER_LINES: usize = 1_000;
/// Deepest nesting of parentheses and NOT in a requirement or filter expression.
pub const MAX_EXPRESSION_DEPTH: usize = 64;
/// Most states that the search for the smallest repair of a conformance statement looks at. Some dozen are
/// enough for a statement with a dozen independent mistakes.
pub const MAX_REPAIR_STEPS: usize = 2_000;
/// Longest line on a CIR channel, in octets.
pub const MAX_CIR_LINE: usize = 512;
