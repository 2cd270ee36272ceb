//! Access key, secret key and security token, and the sources that a client can take them from.

use std::fmt;
use std::sync::Arc;

use crate::base::deadline::Interrupted;
use crate::base::error::{Code, Error};
use crate::obs::sign::SigningKey;

/// A pair of keys, and the token of temporary ones. `base/sys/memory.rs` wipes them when they are freed.
pub struct Credentials {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
    signing_key: SigningKey,
}

/// The variables of the official SDKs: access key, secret key, security token.
const VARIABLES: [&str; 3] = ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"];

/// The greatest lengths. Longer keys do not exist, and would not fit into a request head.
const MAX_KEY: usize = 1024;
const MAX_TOKEN: usize = 8192;

impl Credentials {
    /// Validates credentials. A token of "" is no token.
    pub fn new(
        access_key: &str,
        secret_key: &str,
        security_token: Option<&str>,
    ) -> Result<Credentials, Error> {
        check("access key", access_key, MAX_KEY)?;
        check("secret key", secret_key, MAX_KEY)?;
        let security_token = security_token.filter(|token| !token.is_empty());
        if let Some(token) = security_token {
            check("security token", token, MAX_TOKEN)?;
        }
        Ok(Credentials {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            security_token: security_token.map(str::to_owned),
            signing_key: SigningKey::new(secret_key),
        })
    }

    /// Reads [`VARIABLES`]. None: not one of them is set.
    pub fn from_env() -> Option<Result<Credentials, Error>> {
        let variables = VARIABLES.map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        if variables.iter().all(Option::is_none) {
            return None;
        }
        let unusable = |why: String| Err(Error::new(Code::NoCredentials, why));
        let mut values = [None, None, None];
        for ((value, name), variable) in values.iter_mut().zip(VARIABLES).zip(variables) {
            match variable.map(std::ffi::OsString::into_string).transpose() {
                Ok(text) => *value = text,
                Err(_) => return Some(unusable(format!("{name} in the environment is not UTF-8"))),
            }
        }
        let [access_key, secret_key, security_token] = &values;
        let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
            return Some(unusable(not_set(access_key.is_none(), secret_key.is_none())));
        };
        Some(
            Credentials::new(access_key, secret_key, security_token.as_deref())
                .or_else(|e| unusable(format!("from the environment: {}", e.detail))),
        )
    }

    /// The access key, which is no secret.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The token of temporary credentials.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// The key that signs requests.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// The texts that no message may repeat, even if a server echoes them.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.secret_key.as_str()).chain(self.security_token())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Names the variables that are missing.
fn not_set(no_access_key: bool, no_secret_key: bool) -> String {
    let [access_key, secret_key, _] = VARIABLES;
    match (no_access_key, no_secret_key) {
        (true, true) => format!("{access_key} and {secret_key} are not set in the environment"),
        (true, false) => format!("{access_key} is not set in the environment, and {secret_key} is"),
        _ => format!("{secret_key} is not set in the environment, and {access_key} is"),
    }
}

/// Allows visible ASCII without white space. A line end that was read from a file along with a key is an error here,
/// rather than a 403 later.
fn check(what: &str, value: &str, max: usize) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::argument(format!("the {what} is empty")));
    }
    if value.len() > max {
        return Err(Error::argument(format!("the {what} is too long: {max} characters are allowed")));
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::argument(format!(
            "the {what} has white space, a line end or another character that is not visible ASCII"
        )));
    }
    Ok(())
}

/// Why there are no credentials.
#[derive(Debug)]
pub enum CredentialsError {
    /// The deadline passed, or the call was cancelled, before there were any.
    Interrupted(Interrupted),
    /// The source has none.
    Unavailable(Error),
}

/// The source of a client's credentials.
#[derive(Clone, Debug)]
pub enum CredentialsProvider {
    /// Fixed credentials, until they are replaced.
    Static(Arc<Credentials>),
    /// No credentials, and the reason.
    Missing(Error),
    /// The agency of the ECS that the process runs on.
    Ecs,
}

/// The source that a config asks for.
#[derive(Clone, Debug)]
pub enum ProviderChoice {
    /// `obs_abort_config_set_credentials`
    Static(Arc<Credentials>),
    /// `OBS_ABORT_CREDENTIALS_ENV`
    Env,
    /// `OBS_ABORT_CREDENTIALS_ECS`
    Ecs,
    /// `OBS_ABORT_CREDENTIALS_CHAIN`: the environment, then ECS.
    Chain,
}

impl ProviderChoice {
    /// Reads the environment if the choice is to use it.
    pub fn resolve(choice: Option<&ProviderChoice>) -> CredentialsProvider {
        match choice {
            None => CredentialsProvider::Missing(Error::new(
                Code::NoCredentials,
                "none were configured: call obs_abort_config_set_credentials or obs_abort_config_set_credential_source",
            )),
            Some(ProviderChoice::Static(credentials)) => CredentialsProvider::Static(Arc::clone(credentials)),
            Some(ProviderChoice::Ecs) => CredentialsProvider::Ecs,
            Some(source @ (ProviderChoice::Env | ProviderChoice::Chain)) => {
                match (Credentials::from_env(), source) {
                    (Some(Ok(credentials)), _) => CredentialsProvider::Static(Arc::new(credentials)),
                    // Half a pair of variables is an error, not a reason to use another identity.
                    (Some(Err(e)), _) => CredentialsProvider::Missing(e),
                    (None, ProviderChoice::Chain) => CredentialsProvider::Ecs,
                    (None, _) => {
                        CredentialsProvider::Missing(Error::new(Code::NoCredentials, not_set(true, true)))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_debug() {
        let credentials =
            Arc::new(Credentials::new("AK", "top-secret", Some("a-token")).expect("credentials"));
        let text = format!("{credentials:?} {:?}", ProviderChoice::Static(Arc::clone(&credentials)));
        assert!(text.contains("AK") && !text.contains("top-secret") && !text.contains("a-token"), "{text}");
    }

    #[test]
    fn limits() {
        for (access_key, secret_key, token) in [
            ("", "s", None),
            ("a", "", None),
            ("a\n", "s", None),
            ("a", "s\n", None),
            ("a", "s s", None),
            ("é", "s", None),
            ("a", "s", Some("t\r")),
            ("a", "s", Some(" ")),
        ] {
            assert!(
                Credentials::new(access_key, secret_key, token).is_err(),
                "{access_key:?} {secret_key:?} {token:?}"
            );
        }
        let (key, token) = ("a".repeat(MAX_KEY), "t".repeat(MAX_TOKEN));
        assert!(Credentials::new(&key, &key, Some(&token)).is_ok());
        assert!(Credentials::new(&(key.clone() + "a"), "s", None).is_err());
        assert!(Credentials::new("a", &(key + "a"), None).is_err());
        assert!(Credentials::new("a", "s", Some(&(token + "t"))).is_err());
        assert!(Credentials::new("a", "s", Some("")).expect("no token").security_token().is_none());
    }
}
