//! Drawing blocks at random.

use crate::block::{BlockIndex, BlockSet};

/// A range of the population has at least so many blocks for each that is drawn: ranges that differ by one block then
/// differ by a sixteenth at most.
const LEAST_RANGE: u64 = 16;

/// Draws `n` blocks of the population, none twice; all of them where there are not more.
///
/// The population is cut into `n` ranges as equal as can be, and one block of each is drawn, so that no part of the
/// volume is left out by chance. Where those ranges would be tiny the draw is a plain one without replacement.
/// Replays: what is drawn follows from the population, `n` and the seed alone.
pub fn draw(population: &BlockSet, n: u64, seed: u64) -> BlockSet {
    let all = population.len();
    if n >= all {
        return population.clone();
    }
    let mut numbers = Numbers(seed);
    let positions =
        if n * LEAST_RANGE <= all { stratified(all, n, &mut numbers) } else { plain(all, n, &mut numbers) };
    chosen(population, &positions)
}

fn stratified(all: u64, n: u64, numbers: &mut Numbers) -> BlockSet {
    let edge = |k: u64| u64::try_from(u128::from(k) * u128::from(all) / u128::from(n)).unwrap_or(all);
    (0..n).map(|k| position(edge(k) + numbers.below(edge(k + 1) - edge(k)))).collect()
}

/// Floyd's way: each set of `n` positions is equally likely, and only the positions drawn are kept.
fn plain(all: u64, n: u64, numbers: &mut Numbers) -> BlockSet {
    let mut drawn = BlockSet::new();
    for last in all - n..all {
        if !drawn.insert(position(numbers.below(last + 1))) {
            drawn.insert(position(last));
        }
    }
    drawn
}

/// A position within a population is smaller than the number of blocks there can be.
fn position(number: u64) -> BlockIndex {
    u32::try_from(number)
        .map_or_else(|_| unreachable!("positions are counted in block indexes"), BlockIndex::new)
}

/// The blocks that stand at these positions of the population.
fn chosen(population: &BlockSet, positions: &BlockSet) -> BlockSet {
    let mut chosen = BlockSet::new();
    let mut before = 0;
    let mut wanted = positions.iter().peekable();
    for range in population.ranges() {
        while let Some(position) = wanted.next_if(|position| position.get() < before + range.len()) {
            chosen.insert(BlockIndex::new(range.start().get() + position.get() - before));
        }
        before += range.len();
    }
    chosen
}

/// SplitMix64 (Steele, Lea and Flood 2014). Written out, because a sample must be the same in every version.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, each equally likely: numbers from the incomplete last round are drawn again.
    fn below(&mut self, end: u64) -> u64 {
        let whole_rounds = u64::MAX - u64::MAX % end;
        loop {
            let number = self.next();
            if number < whole_rounds {
                return number % end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockRange;
    use crate::sample::detection;

    fn all(n: u32) -> BlockSet {
        BlockSet::from(BlockRange::new(BlockIndex::ZERO, n))
    }

    #[test]
    fn splitmix64_is_the_published_one() {
        let mut numbers = Numbers(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| numbers.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_draw_has_its_size_is_of_the_population_and_replays() {
        let sparse: BlockSet = (0..5_000).map(|n| BlockIndex::new(n * 7 + n % 3)).collect();
        for n in [0, 1, 40, 312, 313, 2_500, 4_999, 5_000, 9_000] {
            let drawn = draw(&sparse, n, 7);
            assert_eq!(drawn.len(), n.min(5_000));
            assert!((&drawn - &sparse).is_empty());
            assert_eq!(drawn, draw(&sparse, n, 7));
            assert!(n == 0 || n >= 5_000 || drawn != draw(&sparse, n, 8), "{n}");
        }
    }

    #[test]
    fn a_small_draw_has_one_block_of_each_range() {
        let drawn = draw(&all(2_000), 100, 3);
        for range in 0..100 {
            assert_eq!(drawn.count_in(BlockRange::new(BlockIndex::new(range * 20), 20)), 1);
        }
    }

    /// What a seed drew once it draws for ever: reports of old runs are replayed with it.
    #[test]
    fn draws_are_frozen() {
        let drawn = |n| draw(&all(1_000), n, 42).iter().map(BlockIndex::get).collect::<Vec<_>>();
        assert_eq!(drawn(5), FEW);
        assert_eq!(drawn(100)[..8], MANY);
    }

    const FEW: [u32; 5] = [13, 291, 458, 764, 850];
    const MANY: [u32; 8] = [8, 14, 21, 27, 28, 36, 41, 55];

    /// Runs in a full count are 10,000; 1 in 50 by default.
    fn runs() -> u32 {
        crate::block::tests::cases(200).cases
    }

    #[test]
    fn damage_is_met_as_often_as_the_formula_says() {
        // Small and large draws, so that both ways of drawing are held to it; damage wherever it may be.
        for (population, damaged, read) in
            [(2_000_u32, 20_u32, 100), (2_000, 20, 300), (500, 3, 200), (4_096, 1, 256)]
        {
            let expected = detection(u64::from(population), u64::from(damaged), read);
            let (mut met, runs) = (0_u32, runs());
            for run in 0..runs {
                let bad =
                    plain(u64::from(population), u64::from(damaged), &mut Numbers(u64::from(run) ^ 0xbad));
                let drawn = draw(&all(population), read, u64::from(run) * 2 + 1);
                met += u32::from(!(&bad & &drawn).is_empty());
            }
            let observed = f64::from(met) / f64::from(runs);
            // 99 % of all such counts lie within 2.576 standard deviations.
            let within = 2.576 * (expected * (1.0 - expected) / f64::from(runs)).sqrt();
            assert!((observed - expected).abs() <= within, "{observed} of {expected} within {within}");
        }
    }

    #[test]
    fn damage_in_one_piece_is_met_no_less_often() {
        let (population, damaged, read) = (2_000_u32, 40, 100);
        let expected = detection(u64::from(population), u64::from(damaged), read);
        let runs = runs();
        let met = (0..runs).filter(|run| {
            let drawn = draw(&all(population), read, u64::from(*run));
            drawn.count_in(BlockRange::new(BlockIndex::new(run * 13 % (population - damaged)), damaged)) > 0
        });
        let observed = met.count() as f64 / f64::from(runs);
        assert!(observed >= expected - 2.576 * (0.25 / f64::from(runs)).sqrt(), "{observed} of {expected}");
    }
}
