/// The users who may use the proxy. None: everybody may, without a password.
package struct SOCKSCredentials: Sendable {
    private struct Entry {
        var user: [UInt8]
        var password: [UInt8]
    }
    private var entries: [Entry] = []

    package init() {}

    /// Whether clients must name a user and a password.
    package var isRequired: Bool { !self.entries.isEmpty }

    /// How many users there are.
    package var userCount: Int { Set(self.entries.map(\.user)).count }

    /// Adds a user. `false`, and nothing added, unless both are 1…255 bytes of UTF-8: what RFC 1929 can carry.
    package mutating func add(user: String, password: String) -> Bool {
        let entry = Entry(user: Array(user.utf8), password: Array(password.utf8))
        guard (1...255).contains(entry.user.count), (1...255).contains(entry.password.count) else { return false }
        self.entries.append(entry)
        return true
    }

    /// Whether `password` is that of `user`. Looks at every entry and every byte, whatever matches, so that the time it
    /// takes says nothing about how much was right.
    package func accept(user: [UInt8], password: [UInt8]) -> Bool {
        var accepted = false
        for entry in self.entries {
            let sameUser = Self.equal(entry.user, user)
            let samePassword = Self.equal(entry.password, password)
            accepted = (sameUser && samePassword) || accepted
        }
        return accepted
    }

    private static func equal(_ expected: [UInt8], _ given: [UInt8]) -> Bool {
        var difference: UInt8 = expected.count == given.count ? 0 : 1
        for (index, byte) in expected.enumerated() {
            difference |= byte ^ (index < given.count ? given[index] : ~byte)
        }
        return difference == 0
    }
}
