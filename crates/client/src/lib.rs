//! For users: the participant kit, over any broker or over HTTP.
