/// One entry of a `labels` map: a key of 1 to 255 bytes and a value of at most 255 bytes, both printable.
struct Label {
    var key: String
    var value: String

    init(key: UnsafePointer<CChar>?, value: UnsafePointer<CChar>?) throws(AppProtoError) {
        self.key = try readString(key, "labels.key", length: 1...AppProtoLimits.name)
        self.value = try readString(value, "labels.value", length: 0...AppProtoLimits.labelValue)
    }

    private init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }

    /// Of two entries with the same key the last one counts, as protobuf says.
    static func dictionary(_ labels: [Label]) -> [String: String] {
        Dictionary(labels.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    }

    /// By key, so that the same labels always serialise to the same bytes.
    static func sorted(_ labels: [String: String]) -> [Label] {
        labels.sorted { $0.key < $1.key }.map { Label($0.key, $0.value) }
    }
}
