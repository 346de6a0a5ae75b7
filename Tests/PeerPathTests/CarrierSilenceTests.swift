import NIOCore
import Testing

@testable import PeerPath

@Suite struct CarrierSilenceTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func at(_ seconds: Int) -> NIODeadline { Self.start + .seconds(Int64(seconds)) }

    @Test func `a silent carrier's path is looked at every second, and its route doubted less and less often`() {
        var silence = CarrierSilence()
        #expect(silence.nextLook == nil)
        silence.begin(at: self.at(0))
        var doubts: [Int] = []
        for second in 0..<60 {
            #expect(silence.nextLook == self.at(second))
            let looks = (silence.look(at: self.at(second)), silence.look(at: self.at(second)))
            #expect(looks.0 != nil && looks.1 == nil)
            if looks.0 == .longer { doubts.append(second) }
        }
        #expect(doubts == [1, 5, 13, 23, 33, 43, 53])
        // Told again, it goes on as it was.
        silence.begin(at: self.at(60))
        #expect(silence.nextLook == self.at(60))
    }

    @Test(arguments: [(0, false), (1, false), (2, false), (3, true), (100, true)])
    func `only after a long silence nothing holds that was measured`(looks: Int, isLong: Bool) {
        var silence = CarrierSilence()
        silence.begin(at: self.at(0))
        for second in 0..<looks { _ = silence.look(at: self.at(second)) }
        let (wasLong, late) = (silence.end(), silence.look(at: self.at(1000)))
        #expect(wasLong == isLong)
        #expect(silence.nextLook == nil && late == nil)
        // A later one begins anew.
        silence.begin(at: self.at(1000))
        let again = (silence.look(at: self.at(1000)), silence.look(at: self.at(1001)), silence.end())
        #expect(again == (.usual, .longer, false))
    }
}
