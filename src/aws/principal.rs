//! Who asks: the principal whose credentials sign requests.

use crate::aws::Session;
use std::time::Duration;

/// How long to wait for the answer. It is good to know and takes no permission, but not every network leads to STS.
const PATIENCE: Duration = Duration::from_secs(5);

impl Session {
    /// The ARN of the principal that signs requests, as STS tells it; `None` where it does not tell, or not within
    /// moments.
    pub async fn principal(&self) -> Option<String> {
        let asked = aws_sdk_sts::Client::new(self.config()).get_caller_identity().send();
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer.arn,
            Ok(Err(error)) => {
                tracing::debug!("STS does not tell the principal: {error}");
                None
            }
            Err(_) => None,
        }
    }
}
