//! What the tests of the lower floors share.

/// How many random cases a property is tried with: a few, or as many as `ICECORE_SEEDS` asks for.
pub(crate) fn cases(few: u32) -> proptest::prelude::ProptestConfig {
    #[expect(clippy::disallowed_methods, reason = "how a full run is asked for")]
    let asked = std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    proptest::prelude::ProptestConfig { cases: asked.unwrap_or(few), ..Default::default() }
}
