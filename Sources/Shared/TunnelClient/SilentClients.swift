import DequeModule
import NIOCore

/// Clients that are owed nothing, in the order in which they fell silent.
struct SilentClients {
    private struct Entry {
        let channel: any Channel
        let since: NIODeadline
        /// Tells it from older entries of the same channel.
        let number: UInt64
    }

    /// The number of each one's entry that counts.
    private var numbers: [ObjectIdentifier: UInt64] = [:]
    /// Some have left; the first has not.
    private var entries: Deque<Entry> = []
    private var next: UInt64 = 0

    /// Since when the first has been silent; nil when there is none.
    var oldest: NIODeadline? { self.entries.first?.since }

    var all: [any Channel] { self.entries.filter(self.counts).map(\.channel) }

    /// A client has fallen silent. One that was is so from now on.
    mutating func add(_ channel: any Channel, at now: NIODeadline) {
        self.numbers[ObjectIdentifier(channel)] = self.next
        self.entries.append(Entry(channel: channel, since: now, number: self.next))
        self.next += 1
        self.forgetLeavers()
    }

    mutating func remove(_ channel: any Channel) {
        guard self.numbers.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return }
        self.forgetLeavers()
    }

    /// Takes the one that has been silent longest.
    mutating func removeFirst() -> (any Channel)? {
        guard let first = self.entries.first else { return nil }
        self.remove(first.channel)
        return first.channel
    }

    private func counts(_ entry: Entry) -> Bool {
        self.numbers[ObjectIdentifier(entry.channel)] == entry.number
    }

    private mutating func forgetLeavers() {
        while let first = self.entries.first, !self.counts(first) { self.entries.removeFirst() }
        guard self.entries.count > 2 * self.numbers.count + 64 else { return }
        self.entries = Deque(self.entries.filter(self.counts))
    }
}
