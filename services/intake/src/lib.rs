//! Domain events on users' topics become starts in the inbox.
