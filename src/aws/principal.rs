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

#[cfg(test)]
mod tests {
    use crate::aws::responder::{Responder, reply};

    #[tokio::test]
    async fn the_principal_is_told_by_sts_and_else_unknown_rather_than_empty() {
        let whole = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/auditor</Arn>\
             <UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
             </GetCallerIdentityResponse>";
        let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>not authorized to perform: sts:GetCallerIdentity</Message></Error></ErrorResponse>";
        let xml = "Content-Type: text/xml";
        for (status, body, arn) in [
            (200, whole, Some("arn:aws:iam::123456789012:user/auditor")),
            (403, denied, None),
            (500, "", None),
            (200, "<html>a proxy's own page</html>", None),
        ] {
            // The SDK may ask again; nobody waits for what never comes.
            let replies = (0..4).map(|_| reply(status, xml, body));
            let responder = Responder::serving(replies).await;
            assert_eq!(responder.session().principal().await.as_deref(), arn, "{status} {body}");
            assert!(responder.asked()[0].contains("Action=GetCallerIdentity"));
        }
    }
}
