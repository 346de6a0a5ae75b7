package import CommandSupport
import TLS

/// `--print-identity`: writes the fingerprint of the program's key to stdout.
package struct IdentityQuestion: ProgramQuestion {
    private let program: String
    private let commonName: String
    private let file: String?

    /// Nil when the command line does not ask for it.
    ///
    /// - Parameters:
    ///   - program: its name, such as `rtun-socks`.
    ///   - commonName: of the certificate, for people who look at one.
    package init?(_ given: GivenValues, program: String, commonName: String) {
        guard given.asks("print-identity") else { return nil }
        self.program = program
        self.commonName = commonName
        self.file = given[option: "identity"]
    }

    /// Makes the file of `--identity` if there is none; throws as a start would.
    package func ask() async throws {
        let identity = try IdentityOptions.load(file: self.file, commonName: self.commonName)
        if self.file == nil {
            StandardStream.error.write(
                "\(self.program): this key is not kept, and each start makes another one; keep one with --identity FILE\n"
            )
        }
        try StandardStream.output.writeAnswer("\(identity.fingerprint)\n")
    }
}
