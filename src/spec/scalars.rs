//! Scalars of the files that users write, read as people spell them: `10s`, `yes`, an unquoted 1.2.
//! Each takes every sensible YAML type itself, because an untagged enum would ruin the message.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::types::Version;

/// `yes`, `no`, `true`, `false`.
pub(super) struct YesNo(pub bool);

impl<'de> Deserialize<'de> for YesNo {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = YesNo;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`yes` or `no`")
            }

            fn visit_bool<E: Error>(self, v: bool) -> Result<YesNo, E> {
                Ok(YesNo(v))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<YesNo, E> {
                match v.to_ascii_lowercase().as_str() {
                    "yes" | "true" => Ok(YesNo(true)),
                    "no" | "false" => Ok(YesNo(false)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        d.deserialize_any(V)
    }
}

/// A positive time: a number of seconds, or a number with `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy)]
pub(super) struct Span(pub Duration);

/// Longest time that a file may ask for; a day covers every timer of the protocol.
const LONGEST: f64 = 86_400.0;

impl Span {
    fn seconds(seconds: f64) -> Result<Self, String> {
        if !(seconds > 0.0 && seconds <= LONGEST) {
            return Err(format!(
                "a time must be more than 0 and at most {LONGEST} seconds"
            ));
        }
        Ok(Span(Duration::from_secs_f64(seconds)))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let factor = match unit.trim_start() {
            "ms" => 0.001,
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => {
                return Err(format!(
                    "`{}` is no time; write for example 500ms, 10s or 2m",
                    crate::base::escape::plain(text)
                ));
            }
        };
        let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| {
            format!(
                "`{}` does not begin with a number; write for example 500ms, 10s or 2m",
                crate::base::escape::plain(text)
            )
        })?;
        Self::seconds(number * factor)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 500ms or 10s, or a number of seconds")
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "beyond the limit long before it matters"
            )]
            fn visit_u64<E: Error>(self, v: u64) -> Result<Span, E> {
                Span::seconds(v as f64).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, v: i64) -> Result<Span, E> {
                self.visit_u64(u64::try_from(v).unwrap_or(0))
            }

            fn visit_f64<E: Error>(self, v: f64) -> Result<Span, E> {
                Span::seconds(v).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Span, E> {
                Span::parse(v).map_err(E::custom)
            }
        }
        d.deserialize_any(V)
    }
}

/// One version or a list, quoted or not; sorted, never empty, each once.
pub(super) struct Versions(pub Vec<Version>);

/// One version; unquoted it is a floating-point number to YAML.
struct One(Version);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = One;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version, \"1.1\" or \"1.2\"")
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<One, E> {
                v.parse().map(One).map_err(E::custom)
            }

            fn visit_f64<E: Error>(self, v: f64) -> Result<One, E> {
                self.visit_str(&v.to_string())
            }
        }
        d.deserialize_any(V)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Versions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version, \"1.1\" or \"1.2\", or a list of them")
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Versions, E> {
                v.parse().map(|v| Versions(vec![v])).map_err(E::custom)
            }

            fn visit_f64<E: Error>(self, v: f64) -> Result<Versions, E> {
                self.visit_str(&v.to_string())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Versions, A::Error> {
                let mut list = Vec::new();
                while let Some(One(version)) = seq.next_element()? {
                    if list.contains(&version) {
                        return Err(A::Error::custom(format!("{version} stands twice")));
                    }
                    list.push(version);
                }
                if list.is_empty() {
                    return Err(A::Error::custom("an empty list of versions"));
                }
                list.sort_unstable();
                Ok(Versions(list))
            }
        }
        d.deserialize_any(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1.5 s", 1_500),
            ("7", 7_000),
        ] {
            assert_eq!(Span::parse(text).unwrap().0, Duration::from_millis(ms), "{text}");
        }
        for text in [
            "",
            "s",
            "10x",
            "-1s",
            "0s",
            "1..2s",
            "NaN",
            "1e99s",
            "99999999999999999999h",
            "٣s",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
