//! The newest revision of each stream that was written lately.
//!
//! A bounded memory in two generations: when the young one is full it becomes the old one, and what was not used since
//! is forgotten and asked of the store again. The heads of records that are not yet written are known only here; the
//! limits make sure that a whole generation is longer than what can wait to be written.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use prooflog_events::ids::Revision;
use prooflog_events::limits::HEADS_REMEMBERED;

/// Newest revisions by stream; `None` is known to have no events.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    young: HashMap<Arc<str>, Option<Revision>, RandomState>,
    old: HashMap<Arc<str>, Option<Revision>, RandomState>,
}

impl Heads {
    /// What is known of `stream`, and its shared name.
    pub(crate) fn get(&mut self, stream: &str) -> Option<(Arc<str>, Option<Revision>)> {
        if let Some((name, head)) = self.young.get_key_value(stream) {
            return Some((Arc::clone(name), *head));
        }
        let (name, head) = self.old.remove_entry(stream)?;
        self.insert(Arc::clone(&name), head);
        Some((name, head))
    }

    /// Notes the head of the stream that [`Heads::get`] gave the name of, or of one that it did not know.
    pub(crate) fn set(&mut self, stream: &Arc<str>, head: Option<Revision>) {
        if let Some(known) = self.young.get_mut(stream) {
            *known = head;
            return;
        }
        self.old.remove(stream);
        self.insert(Arc::clone(stream), head);
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
        let head_of = |heads: &mut Heads, stream: &str| heads.get(stream).map(|(_, head)| head);
        heads.set(&"kept".into(), Some(Revision(4)));
        for n in 0..HEADS_REMEMBERED {
            heads.set(&format!("other-{n}").into(), None);
        }
        assert_eq!(head_of(&mut heads, "kept"), Some(Some(Revision(4))));
        for n in 0..2 * HEADS_REMEMBERED {
            heads.set(&format!("more-{n}").into(), None);
        }
        assert_eq!(head_of(&mut heads, "kept"), None);
        assert_eq!(head_of(&mut heads, "more-131071"), Some(None));
    }
}
