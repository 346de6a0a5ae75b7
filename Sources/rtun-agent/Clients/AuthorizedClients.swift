import Basics
import CommandSupport
import FileWatch
import OperatingSystem

/// The clients that the agent serves, by their keys: what the file of `--authorized-clients` says.
struct AuthorizedClients: Equatable, Sendable {
    let rules: [CertificateFingerprint: ClientRule]
    /// Of the file, from before it was read.
    private(set) var stamp: FileStamp?

    /// Reads the file's contents.
    init(parsing contents: [UInt8]) throws(KeyLineError) {
        var rules: [CertificateFingerprint: ClientRule] = [:]
        var lines: [CertificateFingerprint: Int] = [:]
        for line in try KeyLines(parsing: contents).lines {
            let rule = try ClientRule(parsing: line)
            if let other = lines.updateValue(line.number, forKey: rule.key) {
                throw KeyLineError(
                    line: line.number,
                    "the key \(rule.key) stands in line \(other), too; put what holds for it into one line")
            }
            rules[rule.key] = rule
        }
        self.rules = rules
    }

    /// Throws a `ProgramError`: exit code 69 when the file cannot be read, 78 when it says what makes no sense.
    init(file path: String) throws(ProgramError) {
        let stamp = FileStamp(of: [path])
        let contents: [UInt8]
        do throws(SmallFile.ReadError) {
            contents = try SmallFile.contents(of: path, limit: KeyLines.byteLimit)
        } catch {
            throw ProgramError(.unavailable, "--authorized-clients: cannot read \(path): \(error)")
        }
        do throws(KeyLineError) {
            try self.init(parsing: contents)
            self.stamp = stamp
        } catch {
            let place = error.line.map { "\(path):\($0)" } ?? path
            throw ProgramError(.configuration, "--authorized-clients: \(place): \(error.problem)")
        }
    }
}
