import LibC
import NIOCore

/// What else than the hosts file and name servers this machine asks for names: the modules of the name service switch,
/// nsswitch.conf(5).
struct HostSources: Sendable, Equatable {
    /// Names of modules that c-ares does not stand in for.
    private let modules: Set<String>

    /// What c-ares does itself.
    private static let served: Set<String> = ["files", "dns"]
    /// Modules that know single labels, and names in `.local`, and no others: of systemd, of Avahi, and of Samba.
    private static let local: Set<String> = ["resolve", "myhostname", "mymachines", "wins"]

    /// Reads the text of an nsswitch.conf.
    init(parsing text: String) {
        var modules: Set<String> = []
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.prefix { $0 != "#" }
            guard let colon = line.firstIndex(of: ":"),
                line[..<colon].filter({ !$0.isWhitespace }) == "hosts"
            else { continue }
            // Without the reactions in brackets, which may have spaces in them.
            var depth = 0
            let words = line[line.index(after: colon)...].map { character -> Character in
                if character == "[" { depth += 1 }
                defer { if character == "]" { depth -= 1 } }
                return depth > 0 ? " " : character
            }
            modules = Set(words.split(whereSeparator: \.isWhitespace).map { String($0) })
        }
        self.modules = modules.subtracting(Self.served)
    }

    /// Those of this machine, ``unlisted`` when there is no such file; nil when it cannot be read just now. Reads a file.
    ///
    /// A statically linked program has none: it cannot load modules.
    static func current() -> HostSources? {
        #if RTUN_STATIC
        return HostSources(parsing: "")
        #else
        return self.read()
        #endif
    }

    private static func read() -> HostSources? {
        let descriptor = open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == ENOENT ? self.unlisted : nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes {
                LibC.read(descriptor, $0.baseAddress.map { $0 + count }, $0.count - count)
            }
            guard more > 0 else { break }
            count += more
        }
        return HostSources(parsing: String(decoding: bytes[..<count], as: UTF8.self))
    }

    /// Whether `name` is not for name servers: RFC 6762 §3 keeps `.local` for mDNS, where that is set up.
    func areAlone(for name: String) -> Bool {
        let labels = Self.labels(name)
        return labels.last?.lowercased() == "local" && labels.count > 1
            && self.modules.contains { $0 == "resolve" || $0.hasPrefix("mdns") }
    }

    /// Whether a module may know `name`, of which name servers know nothing.
    func mayKnow(_ name: String) -> Bool {
        let isSingleLabel = Self.labels(name).count == 1
        return self.modules.contains { module in
            !module.hasPrefix("mdns") && (isSingleLabel || !Self.local.contains(module))
        }
    }

    private static func labels(_ name: String) -> [Substring] {
        name.split(separator: ".")
    }
}
