//! Actions, from request to reply, over a shelf in memory and a clock that is moved by hand.
