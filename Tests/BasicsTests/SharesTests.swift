import Basics
import Testing

/// Places that owners share, where nobody loses what it has.
@Suite struct SharesTests {
    private typealias Places = Shares<Int, Int>

    /// How many of `wanted` places an owner gets now, by one part after the other.
    private func take(
        _ shares: inout Places, _ owner: Int, _ wanted: Int = 10_000, part: Int? = nil, isKnown: Bool = true
    ) -> Int {
        var count = 0
        while count < wanted, shares.take(by: part ?? owner, of: owner, isKnown: isKnown) { count += 1 }
        return count
    }

    @Test(arguments: [
        // limit, factor, what the first four get that want all
        (80, 7, [70, 9, 1, 0]), (1257, 7, [1100, 138, 17, 1]), (256, 1, [128, 64, 32, 16]), (8, 7, [7, 1, 0, 0]),
        (7, 7, [6, 1, 0, 0]), (4, 1, [2, 1, 1, 0]), (3, 1, [2, 1, 0, 0]), (2, 7, [1, 1, 0, 0]), (2, 1, [1, 1, 0, 0]),
        (1, 1, [1, 0, 0, 0]), (0, 1, [1, 0, 0, 0]),
    ])
    func `one owner leaves room for another`(limit: Int, factor: Int, expected: [Int]) {
        var shares = Places(limit: limit, factor: factor)
        #expect(shares.mostOfOne == expected[0])
        let counts = (1...4).map { self.take(&shares, $0) }
        #expect(counts == expected)
        #expect(shares.used == expected.reduce(0, +))
    }

    @Test func `a place that was given back can be taken again, and no more`() {
        var shares = Places(limit: 8, factor: 7)
        #expect(self.take(&shares, 1) == 7)
        shares.giveBack(by: 1)
        #expect(self.take(&shares, 1) == 1)
        for _ in 0..<20 { shares.giveBack(by: 1) }
        #expect(shares.used == 0 && shares.count(of: 1) == 0)
        #expect(self.take(&shares, 2) == 7)
    }

    @Test func `owners that want all end up with equal shares`() {
        var shares = Places(limit: 1000, factor: 7)
        var counts = [0, 0, 0]
        counts[0] = self.take(&shares, 0)
        // Something ends here and there, and everybody wants more at all times.
        for turn in 0..<20_000 {
            let ending = turn % 3
            if counts[ending] > 0 {
                counts[ending] -= 1
                shares.giveBack(by: ending)
            }
            for owner in counts.indices where shares.take(by: owner) { counts[owner] += 1 }
        }
        #expect(counts.allSatisfy { (300...333).contains($0) }, "\(counts)")
    }

    @Test func `however many owners nobody knows, known ones find a sixteenth`() {
        var shares = Places(limit: 256, factor: 1)
        let strangers = (0..<10_000).count { self.take(&shares, $0, 300, isKnown: false) > 0 }
        #expect(strangers < 256 && shares.used == 240)
        #expect(shares.isFull(isKnown: false) && !shares.isFull(isKnown: true))
        #expect(self.take(&shares, -1) > 0)
        #expect(self.take(&shares, -2) > 0)
        // What they have is not kept for them a second time.
        #expect(self.take(&shares, 10_000, isKnown: false) == 0)
        for owner in 0..<16 {
            shares.giveBack(by: owner)
        }
        #expect(self.take(&shares, 20_000, 300, isKnown: false) > 0)
    }

    @Test func `the parts of an owner share what it may have`() {
        var shares = Places(limit: 80, factor: 7)
        for part in [10, 11] { shares.join(part, of: 1, isKnown: true) }
        let first = self.take(&shares, 1, part: 10)
        let second = self.take(&shares, 1, part: 11)
        #expect(first < 70 && second > 0, "\(first), \(second)")
        #expect(first + second <= 70)
        #expect(self.take(&shares, 2) > 0)
        // One that is left alone has all.
        for _ in 0..<second { shares.giveBack(by: 11, of: 1) }
        shares.leave(11, of: 1)
        #expect(shares.count(of: 1) == first)
        for _ in 0..<80 { shares.giveBack(by: 2) }
        #expect(first + self.take(&shares, 1, part: 10) == 70)
    }

    @Test func `many parts get no more than one`() {
        var shares = Places(limit: 256, factor: 1)
        let taken = (0..<300).count { shares.take(by: $0, of: 1, isKnown: true) }
        #expect(taken == 128)
        let newcomer = shares.take(by: 1000, of: 2, isKnown: false)
        #expect(newcomer)
    }

    @Test func `a place that one part passes on to another stays its owner's`() {
        var shares = Places(limit: 4, factor: 7)
        let taken = [10, 11, 12].map { shares.take(by: $0, of: 1, isKnown: true) }
        let other = shares.take(by: 20, of: 2, isKnown: false)
        #expect(taken == [true, true, true] && other)
        // Though nothing is free.
        let isPassed = [shares.passOn(from: 10, to: 13, of: 1), shares.passOn(from: 10, to: 14, of: 1)]
        let fromOther = shares.passOn(from: 20, to: 14, of: 1)
        #expect(isPassed == [true, false] && !fromOther)
        #expect(shares.used == 4 && shares.count(of: 1) == 3 && shares.count(of: 2) == 1)
        // What the former one gives back is the other's by now.
        shares.giveBack(by: 10, of: 1)
        #expect(shares.used == 4)
        for part in [11, 12, 13] { shares.giveBack(by: part, of: 1) }
        #expect(shares.used == 1 && shares.count(of: 1) == 0)
        // The last one of an owner, too.
        let isLastPassed = shares.passOn(from: 20, to: 21, of: 2)
        #expect(isLastPassed && shares.count(of: 2) == 1)
        shares.giveBack(by: 21, of: 2)
        #expect(shares.used == 0)
    }

    @Test func `huge limits overflow nothing`() {
        var shares = Places(limit: .max, factor: .max)
        let isTaken = shares.take(by: 1)
        #expect(isTaken && shares.mostOfOne > 1 << 39)
    }
}
