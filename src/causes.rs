//! Errors as a person should read them.

/// An error with its causes, each once: some errors print their cause themselves, and the lowest
/// one, as in "connection refused", is what helps.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
