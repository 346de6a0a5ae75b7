internal import CNgtcp2

/// A connection ID (RFC 9000 §5.1): 0...20 bytes, kept inline so that it can key a table without an allocation.
struct ConnectionID: Hashable {
    /// Length of the ids that this implementation gives out: short headers carry no length, so it has to be fixed.
    static let localLength = 8
    static let maxLength = Int(NGTCP2_MAX_CIDLEN)

    private var words: (UInt64, UInt64, UInt32) = (0, 0, 0)
    let length: Int

    /// Takes the first 20 bytes at most.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.length = min(bytes.count, Self.maxLength)
        withUnsafeMutableBytes(of: &self.words) {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.maxLength)))
        }
    }

    init(_ cid: ngtcp2_cid) {
        self = withUnsafeBytes(of: cid.data) { Self(UnsafeRawBufferPointer(rebasing: $0.prefix(cid.datalen))) }
    }

    /// A new id of `localLength` random bytes.
    static func random() -> ConnectionID {
        var value = UInt64.random(in: .min ... .max)
        return withUnsafeBytes(of: &value) { ConnectionID($0) }
    }

    /// The same id as the library wants it.
    var cid: ngtcp2_cid {
        var cid = ngtcp2_cid()
        cid.datalen = self.length
        withUnsafeMutableBytes(of: &cid.data) { target in
            withUnsafeBytes(of: self.words) {
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(Self.maxLength)))
            }
        }
        return cid
    }

    static func == (left: ConnectionID, right: ConnectionID) -> Bool {
        left.length == right.length && left.words == right.words
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(self.words.0)
        hasher.combine(self.words.1)
        hasher.combine(self.words.2)
    }
}
