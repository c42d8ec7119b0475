//! Who the controller is to AWS, and what it may do: credentials and IAM as moto checks them.

use bluegreen::{
    cloud::{Error, TargetGroupArn},
    plan::{
        FailureKind::{Denied, NotFound, Unavailable},
        Instance,
    },
};
use serde_json::json;

use super::{
    super::{
        Real,
        report::{Lacks, Side, Suite},
    },
    account::Who,
    by_name,
    commands::from_now,
    moto::Moto,
    refused, tagged,
};

/// The requests of [`administrator`], and the one by which a token becomes a role, which moto wants
/// to be signed although nobody has a key yet. After these it asks its IAM.
const REQUESTS: u32 = 8;

/// What the user and the role may do here: a part of what the controller needs.
fn policy() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["elasticloadbalancing:DescribeTargetGroups"],
            "Resource": "*",
        }],
    })
    .to_string()
}

/// What an administrator makes: a user with an access key and a role, both with the policy.
/// The key's id and secret, and the role's ARN.
async fn administrator(moto: &Moto<'_>) -> (String, String, String) {
    moto.warm_up().await;
    let policy = moto.file("policy.json", &policy());
    moto.text("iam create-user --user-name controller").await;
    moto.text(&format!(
        "iam put-user-policy --user-name controller --policy-name some --policy-document {policy}"
    ))
    .await;
    let key = moto
        .text(
            "iam create-access-key --user-name controller \
             --query AccessKey.[AccessKeyId,SecretAccessKey]",
        )
        .await;
    let (id, secret) = key.split_once(' ').unwrap();
    let role = moto
        .text(&format!(
            "iam create-role --role-name controller --assume-role-policy-document {policy} \
             --query Role.Arn"
        ))
        .await;
    moto.text(&format!(
        "iam put-role-policy --role-name controller --policy-name some --policy-document {policy}"
    ))
    .await;
    (id.to_owned(), secret.to_owned(), role)
}

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    let mut moto = Moto::strict_after(real, REQUESTS).await;
    let (id, secret, role) = administrator(&moto).await;
    let endpoint = moto.endpoint();
    let role = Who::Role {
        arn: &role,
        endpoint: &endpoint,
    };
    let name = "a role by a service account's token, and what it may not";
    suite
        .case(Side::Real, name, permissions(&moto, &role))
        .await;
    let key = Who::Key {
        id: &id,
        secret: &secret,
    };
    suite
        .case(
            Side::Real,
            "an access key, and what it may not",
            permissions(&moto, &key),
        )
        .await;
    suite
        .case(Side::Real, "a key that nobody has", async {
            let words = [
                "DescribeInstances",
                "AuthFailure",
                "does not accept the controller's credentials",
                "give it a valid role",
            ];
            refused(instances(&moto, &Who::ANYBODY).await, Denied, &words);
        })
        .await;
    suite
        .case(Side::Real, "a secret that is not the key's", async {
            let forged = Who::Key {
                id: &id,
                secret: "forged",
            };
            let words = [
                "DescribeInstances",
                "does not accept the controller's credentials",
                "this machine's clock",
            ];
            refused(instances(&moto, &forged).await, Denied, &words);
        })
        .await;
    suite
        .case(Side::Real, "no credentials", async {
            let words = ["app=shop", "no AWS credentials", "docs/aws-iam.md"];
            refused(instances(&moto, &Who::Nobody).await, Denied, &words);
        })
        .await;
    lacking(&moto, &key, suite).await;
    moto.end().await;
}

/// What somebody is told who asks for instances.
async fn instances(moto: &Moto<'_>, who: &Who<'_>) -> Result<Vec<Instance>, Error> {
    who.write();
    let edge = moto.edge().await;
    edge.instances(&tagged(&[("app", "shop")]), None).await
}

/// One operation is allowed, so this is nobody unknown; others say which permission lacks.
async fn permissions(moto: &Moto<'_>, who: &Who<'_>) {
    who.write();
    let edge = moto.edge().await;
    let group = edge.target_group(&by_name("shop")).await;
    let words = ["DescribeTargetGroups", "TargetGroupNotFound"];
    refused(group, NotFound, &words);
    let words = |operation, thing| {
        let remedy = "allow the action in the controller's IAM policy, see docs/aws-iam.md";
        [operation, thing, "denied by AWS", remedy]
    };
    let instances = edge.instances(&tagged(&[("app", "shop")]), None).await;
    refused(instances, Denied, &words("DescribeInstances", "app=shop"));
    let id = "i-0123456789abcdef0".to_owned();
    let ended = edge.terminate(std::slice::from_ref(&id)).await;
    refused(ended, Denied, &words("TerminateInstances", &id));
    let group = TargetGroupArn("shop".to_owned());
    let health = edge.target_health(&group).await;
    let thing = "target group shop";
    refused(health, Denied, &words("DescribeTargetHealth", thing));
}

/// Moto words each denial as EC2 does, whatever service was asked.
async fn lacking(moto: &Moto<'_>, key: &Who<'_>, suite: &mut Suite) {
    suite
        .case_lacking("a denial by ELB", "denials in the form of ELB", async {
            key.write();
            let group = TargetGroupArn("shop".to_owned());
            let health = moto.edge().await.target_health(&group).await;
            let message = health.unwrap_err().to_string();
            // AWS: AccessDenied.
            Lacks::when(message.contains("(no code)"), true)
        })
        .await;
    suite
        .case_lacking("a denial by Systems Manager", "denials in JSON", async {
            key.write();
            let state = moto
                .edge()
                .await
                .command("shop/1/stop", from_now(-3600))
                .await;
            let error = state.unwrap_err();
            if error.kind() == Denied {
                return Lacks::NoMore(error.to_string());
            }
            // AWS: AccessDeniedException. This could be a proxy's, and says what to look at.
            let words = [
                "ListCommands",
                "403",
                "not an answer of AWS",
                "check the endpoint",
            ];
            refused::<()>(Err(error), Unavailable, &words);
            Lacks::Still
        })
        .await;
}
