import AppProto
package import Basics

/// The keys that agents are known by: what a file of `--known-agents` says.
///
///     # name, key, and a comment if you like
///     office SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU since the move
///
/// A name may have several keys, each on a line of its own.
package struct KnownAgents: Equatable, Sendable {
    /// A key that a line names.
    package struct Entry: Hashable, Sendable {
        package let key: CertificateFingerprint
        /// Where it stands, from 1.
        package let line: Int
    }

    /// What the file says of a key that somebody shows under a name.
    package enum Standing: Equatable, Sendable {
        case known
        /// It has no key of that name.
        case unknown
        /// It has others, these.
        case changed([Entry])
    }

    private var entries: [String: [Entry]] = [:]

    package init() {}

    /// Throws what is wrong with a line, and with which.
    package init(parsing contents: [UInt8]) throws(KeyLineError) {
        for line in try KeyLines(parsing: contents).lines {
            // A name may have blanks in it. A key in another form than ours is told with what would be right.
            let place = line.words.dropFirst().firstIndex { $0.lowercased().hasPrefix("sha256:") } ?? 1
            let key = try line.fingerprint(at: place)
            let name = line.words[..<place].joined(separator: " ")
            guard isValidAgentName(name) else {
                throw KeyLineError(line: line.number, "no agent has such a name: it has 1 to 255 bytes")
            }
            self.entries[name, default: []].append(Entry(key: key, line: line.number))
        }
    }

    /// All that have a key here.
    package var names: Set<String> { Set(self.entries.keys) }

    package func standing(of name: String, showing key: CertificateFingerprint) -> Standing {
        guard let entries = self.entries[Self.inFile(name)] else { return .unknown }
        return entries.contains { $0.key == key } ? .known : .changed(entries)
    }

    /// Whether there is a key of that name.
    package func knows(_ name: String) -> Bool { self.entries[Self.inFile(name)] != nil }

    /// Whether both say the same of all agents but `name`, which `other` did not know if it is new here.
    func isSame(as other: KnownAgents, but name: String?) -> Bool {
        guard let name else { return self == other }
        var rest = self.entries
        rest[Self.inFile(name)] = nil
        return rest == other.entries
    }

    /// The name as a line can have it: blanks between words are one.
    static func inFile(_ name: String) -> String {
        name.unicodeScalars.split { $0.properties.generalCategory == .spaceSeparator }.map { String($0) }
            .joined(separator: " ")
    }
}

extension KnownAgents {
    /// `contents` with a line for an agent that they do not know; nil when no line can name it.
    static func adding(
        _ name: String, _ key: CertificateFingerprint, comment: String, to contents: [UInt8]
    ) -> (contents: [UInt8], known: KnownAgents)? {
        // As the file's other lines end.
        let lineBreak = contents.contains(UInt8(ascii: "\r")) ? "\r\n" : "\n"
        var longer = contents
        if let last = longer.last, last != UInt8(ascii: "\n") { longer += Array(lineBreak.utf8) }
        longer += Array("\(Self.inFile(name)) \(key) \(comment)\(lineBreak)".utf8)
        // A name may begin with #, or have a word in it that looks like a key.
        guard longer.count <= KeyLines.byteLimit, let known = try? KnownAgents(parsing: longer),
            known.standing(of: name, showing: key) == .known
        else { return nil }
        return (longer, known)
    }
}
