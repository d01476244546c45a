//! The newest revision of each stream that was written lately.
//!
//! A bounded memory in two generations: when the young one is full it becomes the old one, and what was not used since
//! is forgotten and asked of the store again. The heads of records that are not yet written are known only here; the
//! limits make sure that a whole generation is longer than what can wait to be written.

use std::collections::HashMap;
use std::sync::Arc;

use prooflog_events::ids::Revision;
use prooflog_events::limits::HEADS_REMEMBERED;

/// Newest revisions by stream; `None` is known to have no events.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    young: HashMap<Arc<str>, Option<Revision>>,
    old: HashMap<Arc<str>, Option<Revision>>,
}

impl Heads {
    /// What is known of `stream`, and its shared name.
    pub(crate) fn get(&mut self, stream: &str) -> Option<Option<Revision>> {
        if let Some(head) = self.young.get(stream) {
            return Some(*head);
        }
        let (name, head) = self.old.remove_entry(stream)?;
        self.insert(name, head);
        Some(head)
    }

    /// Notes the head of `stream`.
    pub(crate) fn set(&mut self, stream: &str, head: Option<Revision>) -> Arc<str> {
        if let Some((name, _)) = self.young.get_key_value(stream) {
            let name = Arc::clone(name);
            if let Some(known) = self.young.get_mut(stream) {
                *known = head;
            }
            return name;
        }
        let name = self.old.remove_entry(stream).map_or_else(|| Arc::from(stream), |(name, _)| name);
        self.insert(Arc::clone(&name), head);
        name
    }

    fn insert(&mut self, name: Arc<str>, head: Option<Revision>) {
        if self.young.len() >= HEADS_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_generation_of_others_is_needed_to_forget_a_stream() {
        let mut heads = Heads::default();
        heads.set("kept", Some(Revision(4)));
        for n in 0..HEADS_REMEMBERED {
            heads.set(&format!("other-{n}"), None);
        }
        assert_eq!(heads.get("kept"), Some(Some(Revision(4))));
        for n in 0..2 * HEADS_REMEMBERED {
            heads.set(&format!("more-{n}"), None);
        }
        assert_eq!(heads.get("kept"), None);
        assert_eq!(heads.get("more-131071"), Some(None));
    }
}
