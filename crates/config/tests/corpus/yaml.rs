//! Input: the bytes of a file that is read as a configuration and as a lab.

use tapline_config::{Config, Diagnostics, Lab};

pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Config::from_str("fuzz.yaml", &text) {
        Ok(config) => {
            let yaml = config.to_yaml();
            let again = Config::from_str("again.yaml", &yaml);
            assert!(again.as_ref().is_ok_and(|again| *again == config), "{yaml}\n{again:?}");
        }
        Err(found) => is_told_well(&found, &text),
    }
    if let Err(found) = Lab::from_str("fuzz.yaml", &text) {
        is_told_well(&found, &text);
    }
}

fn is_told_well(found: &Diagnostics, text: &str) {
    assert!(found.iter().len() > 0 && found.count() >= found.iter().len());
    for mistake in found {
        assert!(mistake.line >= 1 && mistake.column >= 1 && mistake.width >= 1, "{mistake:?}");
        assert!(!mistake.message.is_empty() && !mistake.message.contains('\n'), "{mistake:?}");
        assert!(text.contains(&mistake.source_line), "{mistake:?}");
    }
    let told = found.to_string();
    assert!(told.starts_with("fuzz.yaml:"), "{told}");
    assert!(told.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{told:?}");
}
