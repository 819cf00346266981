//! Bounds that many share: bytes in memory, open calls, connections. One address gets a part.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// So much of something. Taking never waits.
#[derive(Debug)]
pub struct Pool {
    used: AtomicUsize,
    max: usize,
    /// What is taken here is taken there too.
    whole: Option<Arc<Self>>,
}

/// What was taken from a pool; goes back when dropped.
#[derive(Debug)]
pub struct Taken {
    pool: Arc<Pool>,
    amount: usize,
}

impl Pool {
    /// A pool of so much.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max, whole: None })
    }

    /// A part of this pool, for one who may take so much of it.
    pub fn part(self: &Arc<Self>, max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max, whole: Some(Arc::clone(self)) })
    }

    /// Takes so much, or nothing when that is not left.
    pub fn try_take(self: &Arc<Self>, amount: usize) -> Option<Taken> {
        self.reserve(amount).then(|| Taken { pool: Arc::clone(self), amount })
    }

    /// Takes so much whether it is left or not, for what is here already and counts.
    pub fn take_anyway(self: &Arc<Self>, amount: usize) -> Taken {
        let mut pool = Some(self);
        while let Some(at) = pool {
            at.used.fetch_add(amount, Ordering::Relaxed);
            pool = at.whole.as_ref();
        }
        Taken { pool: Arc::clone(self), amount }
    }

    /// What is left, of this and of the whole.
    pub fn left(&self) -> usize {
        let left = self.max.saturating_sub(self.used());
        self.whole.as_ref().map_or(left, |whole| left.min(whole.left()))
    }

    /// What is left when nobody has taken anything.
    pub fn max(&self) -> usize {
        self.whole.as_ref().map_or(self.max, |whole| self.max.min(whole.max()))
    }

    /// What is taken.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn reserve(&self, amount: usize) -> bool {
        let fits = |used: usize| used.checked_add(amount).filter(|sum| *sum <= self.max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let whole_has_room = self.whole.as_ref().is_none_or(|whole| whole.reserve(amount));
        if !whole_has_room {
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
        whole_has_room
    }

    fn give_back(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(amount);
        }
    }
}

impl Taken {
    /// Takes so much more, or nothing more when that is not left.
    pub fn try_grow(&mut self, by: usize) -> bool {
        let grown = self.pool.reserve(by);
        if grown {
            self.amount += by;
        }
        grown
    }

    /// Gives back what is beyond this.
    pub fn shrink_to(&mut self, amount: usize) {
        let over = self.amount.saturating_sub(amount);
        self.amount -= over;
        self.pool.give_back(over);
    }

    /// Parts with so much of it, or with all when it is less.
    pub fn split(&mut self, amount: usize) -> Self {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        Self { pool: Arc::clone(&self.pool), amount }
    }

    /// How much more could be taken.
    pub fn left(&self) -> usize {
        self.pool.left()
    }

    /// How much all can have together.
    pub fn max(&self) -> usize {
        self.pool.max()
    }

    /// How much it is.
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.pool.give_back(self.amount);
    }
}

/// A pool of which each address may have a part, so that one address cannot take what all need.
#[derive(Debug)]
pub struct Shares {
    pool: Arc<Pool>,
    part_max: usize,
    parts: Mutex<BTreeMap<IpAddr, Weak<Pool>>>,
}

impl Shares {
    /// Shares of a pool, each of so many percent of it, at least 1.
    pub fn new(pool: Arc<Pool>, percent: u8) -> Self {
        let part_max =
            pool.max / 100 * usize::from(percent) + pool.max % 100 * usize::from(percent) / 100;
        Self { pool, part_max: part_max.max(1), parts: Mutex::default() }
    }

    /// The part of an address, kept while somebody holds it.
    pub fn of(&self, address: IpAddr) -> Arc<Pool> {
        let owner = owner(address);
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get(&owner).and_then(Weak::upgrade) {
            return part;
        }
        parts.retain(|_, part| part.strong_count() > 0);
        let part = self.pool.part(self.part_max);
        parts.insert(owner, Arc::downgrade(&part));
        part
    }

    /// All of it.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

/// What all clients of a node share.
#[derive(Debug)]
pub struct ClientShares {
    /// Open calls.
    pub calls: Shares,
    /// Bytes of requests in memory, decoded.
    pub request_bytes: Shares,
    /// Bytes of answers that are not written yet.
    pub answer_bytes: Shares,
}

/// Who has an address: with IPv6 everybody has a network of them.
fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_when_dropped() {
        let pool = Pool::new(10);
        let first = pool.try_take(8).unwrap();
        assert!(pool.try_take(3).is_none());
        let second = pool.try_take(2).unwrap();
        assert_eq!(pool.used(), 10);
        drop((first, second));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn what_grows_and_shrinks_is_counted_as_it_is() {
        let pool = Pool::new(10);
        let mut taken = pool.try_take(1).unwrap();
        assert!(taken.try_grow(9));
        assert!(!taken.try_grow(1));
        taken.shrink_to(4);
        assert_eq!((taken.amount(), pool.used()), (4, 4));
        let part = taken.split(3);
        assert_eq!((taken.amount(), part.amount(), pool.used()), (1, 3, 4));
        let more = pool.take_anyway(20);
        assert_eq!(pool.used(), 24);
        drop((taken, part, more));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn one_address_has_its_part_and_all_have_the_whole() {
        let shares = Shares::new(Pool::new(10), 50);
        let [a, b, c] = [1, 2, 3].map(|last| shares.of(IpAddr::from([10, 0, 0, last])));
        let _a = a.try_take(5).unwrap();
        assert!(a.try_take(1).is_none());
        let _b = b.try_take(4).unwrap();
        assert!(c.try_take(2).is_none(), "the whole is used up");
        let c = c.try_take(1).unwrap();
        assert_eq!(shares.pool().used(), 10);
        drop(c);
        assert_eq!(shares.pool().used(), 9);
    }

    #[test]
    fn a_refusal_by_the_whole_leaves_no_trace_in_the_part() {
        let shares = Shares::new(Pool::new(10), 100);
        let (a, b) = (shares.of([10, 0, 0, 1].into()), shares.of([10, 0, 0, 2].into()));
        let _all = a.try_take(10).unwrap();
        assert!(b.try_take(1).is_none());
        assert_eq!(b.used(), 0);
    }

    #[test]
    fn an_address_is_the_same_one_while_it_is_held_and_a_network_of_ipv6_is_one() {
        let shares = Shares::new(Pool::new(10), 50);
        let part = shares.of("2001:db8::1".parse().unwrap());
        assert!(Arc::ptr_eq(&part, &shares.of("2001:db8::ffff:1".parse().unwrap())));
        assert!(!Arc::ptr_eq(&part, &shares.of("2001:db8:0:1::1".parse().unwrap())));
        let mapped = shares.of("::ffff:10.0.0.1".parse().unwrap());
        assert!(Arc::ptr_eq(&mapped, &shares.of([10, 0, 0, 1].into())));
    }

    #[test]
    fn a_share_of_a_small_pool_is_never_nothing() {
        assert!(Shares::new(Pool::new(1), 50).of([10, 0, 0, 1].into()).try_take(1).is_some());
    }
}
