//! Asking long work to stop.

use tokio::sync::watch;

/// A request to stop, shared by whoever may ask and whoever must hear. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Asks. There is no way back.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody has asked.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once somebody has asked.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn requested(&self) {
        // An error would mean that all senders are gone, and `self` is one.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
