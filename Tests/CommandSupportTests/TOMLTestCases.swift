import Foundation
import Testing

@testable import CommandSupport

/// The official cases (github.com/toml-lang/toml-test), as Debian's `golang-github-burntsushi-toml-dev` has them.
///
/// scripts/setup.sh installs them. Elsewhere these tests are skipped, but not in CI.
@Suite struct TOMLTestCases {
    private static let folder =
        "/usr/share/gocode/src/github.com/BurntSushi/toml/internal/toml-test/tests"

    private static var isWanted: Bool {
        FileManager.default.fileExists(atPath: Self.folder) || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    /// Those that TOML 1.0 leaves to later versions, as toml-test's own list has it.
    private static let ofLaterVersions: Set<String> = ["valid/string/escape-esc"]

    /// Names without ".toml", such as "valid/array/nested".
    private static func cases(_ kind: String) throws -> [String] {
        let files = try FileManager.default.subpathsOfDirectory(atPath: Self.folder + "/" + kind)
        return files.filter { $0.hasSuffix(".toml") }.map { "\(kind)/\($0.dropLast(".toml".count))" }
            .filter { !Self.ofLaterVersions.contains($0) }.sorted()
    }

    private static func contents(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/\(path)"))
    }

    @Test(.enabled(if: Self.isWanted)) func `valid documents mean what toml-test says`() throws {
        let cases = try Self.cases("valid")
        #expect(cases.count >= 90)
        for name in cases {
            let bytes = try Array(Self.contents("\(name).toml"))
            do {
                let document = try TOMLReader.document(in: bytes)
                let wanted = try JSONSerialization.jsonObject(with: Self.contents("\(name).json"))
                #expect(Self.matches(.table(document), wanted), "\(name): \(document)")
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
    }

    @Test(.enabled(if: Self.isWanted)) func `invalid documents are refused`() throws {
        let cases = try Self.cases("invalid")
        #expect(cases.count >= 200)
        for name in cases {
            let bytes = try Array(Self.contents("\(name).toml"))
            let error = #expect(throws: TOMLError.self, "\(name)") { try TOMLReader.document(in: bytes) }
            let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
            #expect((1...lines).contains(error?.line ?? 0), "\(name): \(error.map { "\($0)" } ?? "")")
        }
    }

    /// Whether `value` is what toml-test's tagged JSON says.
    private static func matches(_ value: TOMLValue, _ wanted: Any) -> Bool {
        switch value {
        case .table(let table):
            guard let wanted = wanted as? [String: Any], wanted.count == table.entries.count else { return false }
            return table.entries.allSatisfy { entry in
                // By bytes: Swift takes the two ways to write é for one.
                wanted.contains { $0.key.utf8.elementsEqual(entry.key.utf8) && Self.matches(entry.value, $0.value) }
            }
        case .array(let elements):
            guard let wanted = wanted as? [Any], wanted.count == elements.count else { return false }
            return zip(elements, wanted).allSatisfy { Self.matches($0.value, $1) }
        case .string(let text): return Self.tagged(wanted, "string").map { $0.utf8.elementsEqual(text.utf8) } ?? false
        case .integer(let number): return Self.tagged(wanted, "integer") == "\(number)"
        case .boolean(let isTrue): return Self.tagged(wanted, "bool") == "\(isTrue)"
        case .float(let number):
            guard let text = Self.tagged(wanted, "float"), let other = Double(text) else { return false }
            return number == other || number.isNaN && other.isNaN
        case .time(let kind, let text):
            return Self.tagged(wanted, kind.rawValue).map(Self.time) == Self.time(text)
        }
    }

    private static func tagged(_ wanted: Any, _ type: String) -> String? {
        guard let wanted = wanted as? [String: String], wanted["type"] == type else { return nil }
        return wanted["value"]
    }

    /// One of the ways to write a point in time: upper case, with T, without zeros at the end of the fraction, Z for UTC.
    private static func time(_ text: String) -> String {
        var text = text.uppercased().replacingOccurrences(of: " ", with: "T").replacingOccurrences(
            of: "+00:00", with: "Z")
        if let dot = text.firstIndex(of: ".") {
            let end = text[text.index(after: dot)...].firstIndex { !$0.isNumber } ?? text.endIndex
            var fraction = text[dot..<end]
            while fraction.last == "0" || fraction.last == "." { fraction.removeLast() }
            text.replaceSubrange(dot..<end, with: fraction)
        }
        return text
    }
}
