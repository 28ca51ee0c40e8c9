//! Campaigns on the embedded log in their short form; `cargo xtask campaign` runs them for as long as one likes.

use tests::campaign::{Kind, short};

/// shows: A1, I4, L1
#[test]
fn killed_damaged_and_full_nothing_is_lost_on_the_embedded_log() {
    for kind in [Kind::EmbeddedKilled, Kind::EmbeddedDamaged, Kind::EmbeddedFull] {
        short(kind);
    }
}
