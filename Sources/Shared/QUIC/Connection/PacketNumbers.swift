/// Which packets of the peer are older than others (RFC 9000 §12.3), as the library decodes their numbers.
///
/// A packet says the last bytes of its number. ngtcp2 completes them by the largest number that it has made use of, which
/// is not known here: it may drop packets that have passed authentication. So the number is taken from the nonce, which it
/// is a part of (RFC 9001 §5.3). During the handshake, whose keys nobody tells of, numbers are small enough to need nothing
/// else.
final class PacketNumbers {
    enum Age {
        case newest
        /// There was a larger number.
        case old
        /// Not of QUIC version 1, or a number that no honest peer comes to.
        case impossible
    }

    /// A key of 1-RTT packets, by the library's name for it, and the last 8 bytes of its initialization vector.
    private struct Key {
        let name: UInt
        let vector: UInt64
    }

    /// More than three keys are never in use at a time.
    private static let maximumKeys = 4
    /// A number of one byte, or of more, is decoded to itself up to here, whatever was decoded before.
    private static let largestInHandshake: UInt64 = 126

    private var keys: [Key] = []
    private var largestInitial: UInt64?
    private var largestOfHandshake: UInt64?
    private var largest: UInt64?

    /// The next key is ready. `vector` has 12 bytes.
    func keyUpdated(_ name: UInt, vector: UnsafeRawBufferPointer) {
        self.learn(Key(name: name, vector: Self.last(8, of: vector)))
    }

    private func learn(_ key: Key) {
        // Names are used again.
        self.keys.removeAll { $0.name == key.name }
        self.keys.append(key)
        if self.keys.count > Self.maximumKeys { self.keys.removeFirst() }
    }

    /// Notes a packet that has passed authentication.
    ///
    /// - Parameters:
    ///   - header: without header protection, up to and with the packet number.
    ///   - nonce: of the packet, 12 bytes.
    ///   - key: the library's name for the key.
    func note(header: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer, key: UInt) -> Age {
        guard let first = header.first else { return .impossible }
        // The packet number is what the header ends with, 1 to 4 bytes (§17.1).
        let length = Int(first & 0x03) + 1
        guard header.count > length, nonce.count >= 8 else { return .impossible }
        let truncated = Self.last(length, of: header)
        guard first & 0x80 == 0 else {
            guard header.dropFirst().prefix(4).elementsEqual([0, 0, 0, 1]), truncated <= Self.largestInHandshake else {
                return .impossible
            }
            switch first & 0x30 {
            case 0x00: return Self.note(truncated, &self.largestInitial)
            case 0x20: return Self.note(truncated, &self.largestOfHandshake)
            default: return .impossible  // 0-RTT, which is not used.
            }
        }
        if self.largest == nil, !self.keys.contains(where: { $0.name == key }) {
            // Of the first packet of all the bytes that are not said are 0. Nobody tells of the key that it comes with, and
            // that could be asked of no later packet.
            self.learn(Key(name: key, vector: Self.last(8, of: nonce) ^ truncated))
        }
        guard let vector = self.keys.first(where: { $0.name == key })?.vector else { return .impossible }
        let number = Self.last(8, of: nonce) ^ vector
        guard number & (1 << UInt64(8 * length) - 1) == truncated else { return .impossible }
        return Self.note(number, &self.largest)
    }

    private static func note(_ number: UInt64, _ largest: inout UInt64?) -> Age {
        if let known = largest, number < known { return .old }
        largest = number
        return .newest
    }

    /// The last bytes, at most 8, as a number.
    private static func last(_ count: Int, of bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.suffix(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
}
