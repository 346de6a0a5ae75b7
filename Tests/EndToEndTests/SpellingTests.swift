import Foundation
import TestSupport
import Testing

/// What people type and edit, and what the programs say to it.
@Suite(.timeLimit(.minutes(2)))
struct SpellingTests {
    private static let url = "http://127.0.0.1:1"

    @Test(
        arguments: [
            ("rtun-server", ["--addr", "1.2.3:1"], 64, "if you mean 1.2.0.3, write that"),
            ("rtun-server", ["agent", "listen", "--addr", "127.0.0.1:0"], 64, "leave out \"agent listen\""),
            ("rtun-agent", ["pub", url], 64, "leave out \"pub\""),
            ("rtun-agent", ["listen"], 64, "rtun-server (\"agent listen\")"),
            ("rtun-socks", ["socks", url], 64, "leave out \"socks\""),
            ("rtun-socks", ["--agent", "", url], 64, "the value of --agent is empty"),
            ("rtun-socks", ["--agent=", url], 64, "the value of --agent is empty"),
            ("rtun-relay", ["--p2p-interface", "", url], 64, "the value of --p2p-interface is empty"),
            ("rtun-socks", ["--max-connections", "-1", url], 64, "--max-connections must be at least 1"),
            ("rtun-agent", ["--max-flows", "-1", url], 64, "--max-flows must be at least 1"),
            ("rtun-socks", ["--listen", "192.0.2.77:0", url], 69, "this machine has no such address"),
            ("rtun-relay", ["-L", "15353?to=192.0.2.53:53", url], 64, "0.0.0.0 and [::] stand for all addresses"),
            ("rtun-relay", ["--udp-idel-timeout", "5", url], 64, "did you mean --udp-idle-timeout?"),
            ("rtun-relay", ["-L127.0.0.1:0?to=127.0.0.1:0", url], 64, "nothing can be sent to port 0"),
            ("rtun-server", ["--addr", "https://127.0.0.1:1"], 64, "is a URL; expected host:port"),
            ("rtun-server", ["--addr", "256.1.1.1:1"], 64, "is not an IPv4 address"),
            ("rtun-server", ["--congestion", "reno"], 64, "'reno' is invalid for '--congestion <algorithm>'"),
            ("rtun-agent", ["--congestion", "reno", url], 64, "'reno' is invalid for '--congestion <algorithm>'"),
            ("rtun-socks", ["--congestion=", url], 64, "the value of --congestion is empty"),
            ("rtun-socks", ["--congestion", "BBR", url], 64, "Please provide one of 'bbr' and 'cubic'."),
            ("rtun-relay", ["--congestion", "reno", url], 64, "Please provide one of 'bbr' and 'cubic'."),
            ("rtun-relay", ["--congestoin", "bbr", url], 64, "did you mean --congestion?"),
            ("rtun-server", ["--print-sessions-token", "0"], 64, "must be at least 1s"),
            (
                "rtun-server",
                ["--secret", "0123456789abcdef", "--authorized-keys", "/dev/null", "--print-sessions-token", "1h"], 78,
                "give --state-dir, here and to the server"
            ),
            ("rtun-socks", ["rtn://h:1/?length=5#s3cretword"], 64, "rtn://h:1/?length=5#***"),
            ("rtun-socks", ["rtun://h:1/#s3cr'etword"], 64, "a quotation mark"),
            (
                "rtun-relay", ["-L", "0.0.0.0:9?to=192.0.2.1:9", "-L", "127.0.0.1:9?to=192.0.2.1:9", url], 64,
                "another rule listens"
            ),
            ("rtun-socks", [], 64, "Example:\n  rtun-socks 'rtun://"),
            ("rtun-agent", [], 64, "Usage: rtun-agent [<options>] [<url>]"),
        ] as [(String, [String], Int32, String)])
    func `an invalid command line is answered with what would be right`(
        name: String, arguments: [String], status: Int32, words: String
    ) async throws {
        let program = try RunningProgram(name, arguments, environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(status))
        #expect(program.errors.text.contains(words), "\(program.errors.text)")
        #expect(program.errors.text.split(separator: "\n").count < 12, "\(program.errors.text)")
        #expect(program.output.text.isEmpty)
    }

    @Test(
        arguments: [
            ("max-connections = \"x\"", "line 3: The value 'x' is invalid for '--max-connections <n>'"),
            ("max-connections = -1", "line 3: --max-connections must be at least 1"),
            ("p2p = \"x\"", "line 3: The value 'x' is invalid for '--p2p <choice>': expected auto, direct or bridge"),
            ("congestion = \"x\"", "line 3: The value 'x' is invalid for '--congestion <algorithm>'"),
            ("agent = \"\"", "line 3: agent is empty"),
            ("[rtun-agnet]", "line 3: [rtun-agnet] is not the table of a program; the nearest is [rtun-agent]"),
        ])
    func `a wrong value in a file is named with its line, in a readable message`(
        entry: String, words: String
    ) async throws {
        let folder = try TestFolder()
        let file = folder.file("rtun.toml")
        try "[rtun-socks]\nlisten = \"127.0.0.1:0\"\n\(entry)\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        let program = try RunningProgram(
            "rtun-socks", ["--config", file, Self.url], environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(78))
        #expect(program.errors.text.contains(words), "\(program.errors.text)")
        #expect(!program.errors.text.contains("\\n"))
    }

    @Test func `the wrong line of a file is named, whatever else the file says`() async throws {
        let folder = try TestFolder()
        let file = try folder.write(
            "rtun.toml", "[rtun-relay]\nurl = \"\(Self.url)\"\nagent = \"x\"\nL = [\"127.0.0.1:0\"]\n")
        let program = try RunningProgram("rtun-relay", ["--config", file], environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(78))
        #expect(program.errors.text.contains("line 4: the rule has no target"), "\(program.errors.text)")
    }

    @Test(arguments: [SIGHUP, SIGUSR1, SIGTERM])
    func `no signal kills a program that is about to start`(signal: Int32) async throws {
        let program = try RunningProgram("rtun-server", ["--addr", "127.0.0.1:0"], environment: ["RTUN_SECRET": "x"])
        // As soon as its main function has begun, which ignores SIGHUP first (proc(5): SigIgn), and derives a key then.
        try await eventually(within: .seconds(10), "the first instructions") {
            let status = (try? String(contentsOfFile: "/proc/\(program.pid)/status", encoding: .utf8)) ?? ""
            let mask = status.split(separator: "\n").first { $0.hasPrefix("SigIgn:") }?.split(separator: "\t").last
            return mask.flatMap { UInt64($0, radix: 16) }.map { $0 & 1 == 1 } ?? false
        }
        program.signal(signal)
        if signal == SIGTERM {
            #expect(try await program.end() == .exit(0))
        } else {
            _ = try await program.line("the ready line") { $0.contains(" ready ") }
            await program.kill9()
        }
    }

    @Test func `a certificate that is too weak is named, with what would do`() async throws {
        let folder = try TestFolder()
        let (key, certificate) = (folder.file("key.pem"), folder.file("cert.pem"))
        try await ShellCommand.run(
            """
            openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost -days 2 -keyout '\(key)' -out '\(certificate)'
            """)
        let program = try RunningProgram(
            "rtun-server", ["--addr", "127.0.0.1:0", "--https-cert", certificate, "--https-key", key],
            environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(78))
        #expect(program.errors.text.contains(certificate))
        #expect(program.errors.text.contains("2048 bits"))
    }

    @Test(arguments: ["rtun-server", "rtun-agent", "rtun-socks"])
    func `a limit of open files that is too low is named`(name: String) async throws {
        let arguments = name == "rtun-server" ? "--addr 127.0.0.1:0" : Self.url
        let program = try RunningProgram(
            "/bin/sh", ["-c", "ulimit -n 8; exec '\(RunningProgram.folder)/\(name)' \(arguments)"],
            environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(69))
        #expect(program.errors.text.contains("only 8 files may be open"))
    }

    @Test func `a port alone takes the default address, and with a colon in front all addresses`() async throws {
        let port = try FreePort.next()
        for (text, announced) in [("\(port)", "127.0.0.1:\(port)"), (":\(port)", "[::]:\(port)")] {
            let program = try RunningProgram(
                "rtun-socks", ["--listen", text, Self.url], environment: ["RTUN_SECRET": "x"])
            let line = try await program.line("the ready line") { $0.hasPrefix("rtun-socks ready") }
            #expect(line == "rtun-socks ready socks=\(announced)")
            await program.kill9()
        }
    }

    /// In a namespace of its own, where one family is all that there is.
    @Test(
        .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"),
        arguments: [
            ("rtun-server --addr [::]:0", "ready http=[::]:", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"),
            ("rtun-server --addr 0.0.0.0:0", "ready http=0.0.0.0:", "ip address add 2001:db8::1/64 dev d0 nodad"),
            ("rtun-socks --listen [::]:0 \(url)", "ready socks=[::]:", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"),
            (
                "rtun-socks --listen 0.0.0.0:0 \(url)", "ready socks=0.0.0.0:",
                "ip address add 2001:db8::1/64 dev d0 nodad"
            ),
        ])
    func `a wildcard serves the families that there are, under the name that was typed`(
        command: String, ready: String, setUp: String
    ) async throws {
        let folder = try TestFolder()
        let output = folder.file("output")
        let sockets = try await ShellCommand.run(
            """
            unshare --net sh -ec '
                ip link add d0 type veth peer name d1
                ip link set d1 up
                ip link set d0 up
                \(setUp)
                RTUN_SECRET=x "\(RunningProgram.folder)"/\(command) >"\(output)" 2>&1 &
                trap "kill $!" EXIT
                until grep -q " ready " "\(output)"; do sleep 0.05; done
                ss -Hltn'
            """, within: .seconds(20))
        let text = try String(contentsOfFile: output, encoding: .utf8)
        #expect(text.contains(ready), "\(text)")
        // ss writes "*" for a socket that takes both families. On the machine that has nothing but IPv6, that is served.
        let hasIPv4 = setUp.hasPrefix("sysctl")
        let served = hasIPv4 ? /(0\.0\.0\.0|\*):[0-9]/ : /(\[::\]|\*):[0-9]/
        #expect(sockets.firstMatch(of: served) != nil, "\(sockets)")
    }
}
