//! Helpers for the service's XML documents.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;

/// Resolves a reference such as `&amp;` or `&#38;`.
pub fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    resolve_xml_entity(reference)?.chars().next()
}
