import Foundation
import TestSupport
import Testing

/// A client that nobody here wrote. In CI (`CI=true`) it has to be there, since `make setup` installs it.
enum OutsideClient: String {
    case apt = "/usr/bin/apt-get"
    case chromium = "/usr/bin/chromium"
    case git = "/usr/lib/git-core/git-http-backend"
    case sshd = "/usr/sbin/sshd"

    var isThere: Bool {
        ProcessInfo.processInfo.environment["CI"] == "true"
            || FileManager.default.isExecutableFile(atPath: self.rawValue)
    }

    /// Why a test is skipped.
    var absence: Comment { "\(self.rawValue) is not there; `make setup` installs it" }
}

/// The protocols of the proxy, under the names that they have in URLs.
enum ProxyProtocol: String, CaseIterable {
    /// With names that the proxy resolves.
    case socks5h
    case http

    /// The proxy's URL.
    func url(_ port: Int) -> String { "\(self.rawValue)://127.0.0.1:\(port)" }
}

/// A proxy and the agent that its connections leave from.
struct ProxyInUse {
    let cluster: Cluster
    let agent: RunningProgram
    let program: RunningProgram
    let port: Int

    init(options: [String] = []) async throws {
        self.cluster = try await Cluster(.quic)
        self.agent = try await self.cluster.agent("egress").program
        (self.program, self.port) = try await self.cluster.socks(options: options)
    }

    /// How many connections to a port have been made through the tunnel.
    func connections(to port: Int) -> Int {
        self.program.errors.lines.count { $0.contains("event=flow.opened") && ($0 + " ").contains(":\(port) ") }
    }

    func stop() async { await stopAll([self.cluster.server, self.agent, self.program]) }
}

/// A test server of the interoperation tests, in Python.
struct ScriptServer {
    let program: RunningProgram
    let ports: [Int]

    init(_ script: String, _ arguments: [String]) async throws {
        self.program = try RunningProgram(Interpreter.python, ["-u", Interpreter.script(script)] + arguments)
        let line = try await self.program.line("its ports") { $0.hasPrefix("listening ") }
        self.ports = line.split(separator: " ").compactMap { Int($0) }
    }
}

/// OpenSSH's server on loopback, with keys and a configuration of its own. One user may log in, who runs the test.
final class SSHServer: Sendable {
    let port: Int
    /// What the client needs to know of server and user, as options of `ssh`.
    let clientOptions: String
    private let program: RunningProgram
    private let madeFolder: Bool
    /// Where sshd, started by root, wants an empty folder, which Debian's service makes.
    private static let separationFolder = "/run/sshd"

    init(in folder: TestFolder) async throws {
        try await ShellCommand.run(
            """
            cd '\(folder.path)'
            for key in host user; do ssh-keygen -q -t ed25519 -N '' -f $key; done
            """)
        self.port = try FreePort.next()
        let user = try await ShellCommand.run("id -un").trimmingCharacters(in: .whitespacesAndNewlines)
        let configuration = try folder.write(
            "sshd_config",
            """
            ListenAddress 127.0.0.1
            Port \(self.port)
            HostKey \(folder.file("host"))
            AuthorizedKeysFile \(folder.file("user.pub"))
            PidFile none
            PermitRootLogin yes
            PasswordAuthentication no
            StrictModes no
            UsePAM no
            """)
        self.madeFolder = getuid() == 0 && mkdir(Self.separationFolder, 0o755) == 0
        self.clientOptions = """
            -F /dev/null -i '\(folder.file("user"))' -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=20 \
            -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -l \(user)
            """
        // Below a shell, with which it ends: sshd closes all files that it has not opened, and among those is what Foundation
        // tells the end of a process by, after which it would wait for sshd and hear of no other end.
        self.program = try RunningProgram(
            "/bin/bash",
            ["-c", "setpriv --pdeathsig TERM '\(OutsideClient.sshd.rawValue)' -D -e -f '\(configuration)' & wait"])
        _ = try await self.program.logLine("sshd listening") { $0.contains("Server listening on") }
    }

    deinit {
        self.program.signal(SIGTERM)
        if self.madeFolder { rmdir(Self.separationFolder) }
    }

    /// Copies `file` through `ssh … cat`, there and back, and compares; `options` say how the server is reached.
    func expectCopy(of file: String, _ options: String) async throws {
        try await ShellCommand.run(
            "ssh \(self.clientOptions) \(options) cat <'\(file)' >'\(file).back' && cmp '\(file)' '\(file).back'",
            within: .seconds(40))
    }
}
