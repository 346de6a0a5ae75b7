import TestSupport
import Testing

/// What the programs say they are.
@Suite(.timeLimit(.minutes(1)))
struct VersionTests {
    @Test(arguments: ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"], ["--version", "-V"])
    func `the first line of --version is the version alone, and its parts follow`(
        program: String, option: String
    ) async throws {
        let program = try RunningProgram(program, [option])
        #expect(try await program.end() == .exit(0))
        let lines = program.output.lines
        #expect(lines.first?.split(separator: ".").map { Int($0) != nil } == [true, true, true], "\(lines)")
        for name in ["target ", "OpenSSL ", "GnuTLS ", "ngtcp2 ", "c-ares ", "protobuf-c "] {
            #expect(lines.contains { $0.hasPrefix(name) }, "\(name)")
        }
    }

    @Test(
        arguments: ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"], ["--help", "--experimental-dump-help"])
    func `help is an answer, on standard output`(program: String, option: String) async throws {
        let program = try RunningProgram(program, [option])
        #expect(try await program.end() == .exit(0))
        #expect(program.output.text.contains("--log-level") || program.output.text.contains("\"log-level\""))
        #expect(program.errors.text.isEmpty)
    }
}
