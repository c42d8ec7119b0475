//! The AWS account that this process has: none but what a case writes into files of ours.
//!
//! The SDK of the controller looks for credentials in the environment and in the files that the
//! environment names, as every AWS tool does. A process can choose its environment only for
//! another program, so this program starts itself again in one without the user's account.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use super::{super::tools::Folder, moto::REGION};

const CREDENTIALS: &str = "AWS_SHARED_CREDENTIALS_FILE";
const CONFIG: &str = "AWS_CONFIG_FILE";

/// A file of the folder of this process, whose name does not change when it starts itself again.
fn file(name: &str) -> PathBuf {
    Folder::place().join(name)
}

fn credentials() -> PathBuf {
    file("aws-credentials")
}

fn config() -> PathBuf {
    file("aws-config")
}

/// Whether this process finds no account but ours.
pub(crate) fn is_closed() -> bool {
    env::var_os(CREDENTIALS).is_some_and(|file| file == credentials())
}

/// Starts this program again, as the same process, without what the user's environment says of
/// AWS. Returns only when that fails.
pub(crate) fn close() -> ExitCode {
    let again = env::current_exe().map(|program| {
        let mut again = Command::new(program);
        again.args(env::args_os().skip(1));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                again.env_remove(name);
            }
        }
        again
            .env(CREDENTIALS, credentials())
            .env(CONFIG, config())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .exec()
    });
    let (Ok(error) | Err(error)) = again;
    eprintln!("cannot start this program again without the user's AWS account: {error}");
    ExitCode::FAILURE
}

/// Who the controller is to AWS.
pub(super) enum Who<'a> {
    /// Somebody without credentials.
    Nobody,
    /// Whoever has this access key.
    Key { id: &'a str, secret: &'a str },
    /// A role, by the token of a service account.
    Role { arn: &'a str, endpoint: &'a str },
}

impl Who<'_> {
    /// Whom moto lets do everything, as it does everybody until it is told otherwise.
    pub(super) const ANYBODY: Self = Self::Key {
        id: "AKIAIOSFODNN7EXAMPLE",
        secret: "none",
    };

    /// Writes the files for the SDK and aws-cli, which read them when they start.
    pub(super) fn write(&self) {
        let (keys, profile) = match self {
            Self::Nobody => (String::new(), String::new()),
            Self::Key { id, secret } => (
                format!("[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"),
                String::new(),
            ),
            Self::Role { arn, endpoint } => {
                let token = file("aws-token");
                fs::write(&token, "made-up").unwrap();
                let token = token.display();
                let profile = format!(
                    "[default]\nregion={REGION}\nrole_arn={arn}\n\
                     web_identity_token_file={token}\nendpoint_url={endpoint}\n"
                );
                (String::new(), profile)
            }
        };
        fs::write(credentials(), keys).unwrap();
        fs::write(config(), profile).unwrap();
    }
}
