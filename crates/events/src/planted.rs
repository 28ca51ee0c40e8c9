//! Known mistakes, one of which can be planted to see whether the tests find it. Only with the feature `planted`,
//! which only tests ask for, and which no optimised build takes; else nothing is ever planted.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("the feature `planted` holds mistakes, and is for tests alone");

#[cfg(feature = "planted")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Plants a mistake on this thread, or none; gives the one before.
    pub fn plant(mistake: Option<&'static str>) -> Option<&'static str> {
        PLANTED.replace(mistake)
    }

    /// Whether that mistake is to be made here.
    #[must_use]
    pub fn planted(mistake: &str) -> bool {
        PLANTED.get() == Some(mistake)
    }
}

#[cfg(not(feature = "planted"))]
mod chosen {
    /// Plants nothing: this build has no mistakes to plant.
    pub const fn plant(_: Option<&'static str>) -> Option<&'static str> {
        None
    }

    /// Never.
    #[must_use]
    pub const fn planted(_: &str) -> bool {
        false
    }
}

pub use chosen::{plant, planted};
