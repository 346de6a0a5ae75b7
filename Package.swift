// swift-tools-version: 6.2

import PackageDescription

/// Set by scripts/dist.sh: the programs are linked statically, with what that needs besides.
let isStatic = Context.environment["RTUN_STATIC"] != nil

/// Whether modules with the folders `Linux` and `Portable` are made of the latter: on other systems, and on Linux when
/// `RTUN_PORTABLE` asks for it, so that it is tried there (`make test-portable`).
#if os(Linux)
let isPortable = Context.environment["RTUN_PORTABLE"] != nil
#else
let isPortable = true
#endif

// In CI a warning is an error; elsewhere a newer compiler's new warnings must not stop anyone.
let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (Context.environment["RTUN_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)])
    + (isStatic ? [.define("RTUN_STATIC")] : [])
    + (isPortable ? [.define("RTUN_PORTABLE")] : [])

extension Target.Dependency {
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioWebSocket = product(name: "NIOWebSocket", package: "swift-nio")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let logging = product(name: "Logging", package: "swift-log")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let dequeModule = product(name: "DequeModule", package: "swift-collections")
    static let heapModule = product(name: "HeapModule", package: "swift-collections")
}

/// The folder of modules that is left out.
let otherSystem = isPortable ? "Linux" : "Portable"

/// A module under `Sources/Shared`: used by two or more programs.
///
/// - Parameter linux: given for those with the folders `Linux` and `Portable`, of which one is compiled: the C modules that the
///   former's files need. The latter's need `CPortable`.
func shared(_ name: String, _ dependencies: [Target.Dependency], linux: [Target.Dependency]? = nil) -> Target {
    .target(
        name: name, dependencies: dependencies + (linux.map(onThisSystem) ?? []), path: "Sources/Shared/\(name)",
        exclude: linux == nil ? [] : [otherSystem], swiftSettings: strict)
}

func onThisSystem(linux: [Target.Dependency]) -> [Target.Dependency] { isPortable ? ["CPortable"] : linux }

/// C modules for what Swift's module of the C library lacks.
let systemTargets: [Target] =
    isPortable
    ? [
        .target(
            name: "CPortable", path: "Sources/Shared/CPortable",
            // For `struct in6_pktinfo`, which Darwin's and glibc's headers keep back.
            cSettings: [.define("__APPLE_USE_RFC_3542"), .define("_GNU_SOURCE")])
    ]
    : ["CLinuxUDP", "CLinuxNetlink", "CLinuxProcess"].map { .systemLibrary(name: $0, path: "Sources/Shared/\($0)") }

let programNames = ["rtun-server", "rtun-agent", "rtun-socks", "rtun-relay"]

/// Set by scripts/fuzz.sh: the package then has `rtun-fuzz` instead of the programs.
let isFuzzing = Context.environment["RTUN_FUZZ"] != nil

/// One of the programs: a command, its own logic, nothing another program needs. `main` is the file with its entry,
/// which a fuzzer, whose entry is libFuzzer's, goes without.
func program(_ name: String, main: String, _ dependencies: [Target.Dependency]) -> Target {
    isFuzzing
        ? .target(
            name: name, dependencies: dependencies, path: "Sources/\(name)", exclude: [main], swiftSettings: strict)
        : .executableTarget(name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, swiftSettings: strict)
}

/// What `Tests/FuzzTests` feeds.
let fuzzDependencies: [Target.Dependency] = [
    "Admin", "FlowLedger", "rtun-agent", "rtun-relay", "rtun-server", "AppProto", "Basics", "CommandSupport",
    "HostNetwork", "ICE",
    "PeerChannel", "HTTPProxy", "QUIC", "SOCKS", "STUN", "Signaling", "TLS", "TestSupport", "Tunnel",
    "UDPAssociation", "UDPRelay",
    .nioCore, .nioEmbedded, .nioHTTP1, .nioWebSocket, .logging,
]

/// What stands in for libraries that have no archive, and names those that GnuTLS stands on, and OpenSSL of newer Debians.
let staticTargets: [Target] =
    isStatic
    ? [
        .target(
            name: "CStaticLinux", path: "Sources/Static/CStaticLinux",
            linkerSettings: ["hogweed", "nettle", "gmp", "tasn1", "idn2", "unistring", "z", "zstd"].map {
                .linkedLibrary($0)
            })
    ] : []
let staticDependencies = staticTargets.map { Target.Dependency.target(name: $0.name) }

/// The fuzz targets: a program for libFuzzer (`make fuzz`), and else tests, of what is kept in Tests/FuzzCorpus.
let fuzzTargets: [Target] =
    isFuzzing
    ? [
        .executableTarget(
            name: "rtun-fuzz", dependencies: fuzzDependencies, path: "Tests/FuzzTests",
            exclude: ["CorpusTests.swift", "Targets/\(otherSystem)"], swiftSettings: strict)
    ]
    : [tests("FuzzTests", fuzzDependencies, exclude: ["Runner.swift", "Targets/\(otherSystem)"])]

/// What every test of the real programs needs built.
let programs = programNames.map { Target.Dependency.target(name: $0) }

let package = Package(
    name: "rtun",
    // What `Mutex` needs there.
    platforms: [.macOS(.v15)],
    products: isFuzzing ? [] : programNames.map { .executable(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        // C modules: generated code, and the headers of system libraries with the shims Swift needs.
        .target(
            name: "CAppProto",
            path: "Sources/Shared/CAppProto",
            linkerSettings: [.linkedLibrary("protobuf-c")]),
        .target(
            name: "CBuild", path: "Sources/Shared/CBuild",
            // Set by the scripts that build for shipping.
            cSettings: Context.environment["RTUN_COMMIT"].map { [.define("RTUN_COMMIT", to: "\"\($0)\"")] } ?? []),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/Shared/COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CNgtcp2", path: "Sources/Shared/CNgtcp2", pkgConfig: "rtun-ngtcp2",
            providers: [.apt(["libgnutls28-dev"])]),

        .systemLibrary(
            name: "CAres", path: "Sources/Shared/CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),

        // The C library, whatever it is called, and where headers differ.
        shared("LibC", []),

        // Cores: no sockets, no clock, no tasks. scripts/check-structure.py has those that link no C library either.
        shared("Basics", [.nioCore, .dequeModule]),
        shared("STUN", ["Basics", .nioCore]),
        shared("ICE", ["Basics", "STUN", .nioCore, .dequeModule]),
        shared("PeerPath", ["Basics", "STUN", "ICE", .nioCore, .dequeModule]),
        shared("SOCKS", ["Basics", .nioCore]),
        shared("HTTPProxy", ["Basics", .nioCore, .dequeModule]),
        shared("UDPRelay", ["Basics", "FlowLedger", .nioCore]),
        shared("UDPAssociation", ["Basics", .nioCore, .dequeModule]),
        shared("AgentChoice", [.nioCore]),
        shared("FlowLedger", [.nioCore]),
        shared("AppProto", ["CAppProto", "Basics", .nioCore]),
        shared("Crypto", ["COpenSSL"]),
        shared("TLS", ["COpenSSL", "Basics", "Crypto", "LibC", "OperatingSystem", .nioCore, .nioTLS]),

        // Files and the system's words.
        shared("OperatingSystem", ["LibC", .nioCore]),
        shared("FileWatch", ["LibC", .nioCore, .nioPosix]),

        // Networking: channels, handlers, drivers.
        shared("UDP", ["LibC", "OperatingSystem", .nioCore, .nioPosix, .dequeModule], linux: ["CLinuxUDP"]),
        shared("NameResolution", ["Basics", "CAres", "LibC", "UDP", .nioCore, .nioPosix, .dequeModule], linux: []),
        shared("HostNetwork", ["LibC", "UDP", .nioCore], linux: ["CLinuxNetlink"]),
        shared(
            "QUIC",
            staticDependencies + [
                "CNgtcp2", "Basics", "Crypto", "LibC", "TLS", "UDP", .nioCore, .nioPosix, .dequeModule,
            ]),
        shared(
            "Signaling",
            [
                "AppProto", "Basics", "Crypto", "LibC", "TLS", "NameResolution", "HostNetwork", "OperatingSystem",
                "QUIC",
                .nioCore, .nioPosix, .nioHTTP1, .nioWebSocket, .nioTLS, .dequeModule, .logging,
            ]),
        shared(
            "PeerChannel",
            [
                "AppProto", "Basics", "Crypto", "LibC", "TLS", "STUN", "ICE", "PeerPath", "NameResolution",
                "HostNetwork",
                "UDP", "QUIC", .nioCore, .nioPosix, .dequeModule, .logging,
            ]),
        shared(
            "Tunnel",
            [
                "AppProto", "Basics", "LibC", "TLS", "HostNetwork", "QUIC", "PeerPath", "PeerChannel",
                "UDPAssociation", .nioCore, .dequeModule, .logging,
            ], linux: []),
        shared(
            "CommandSupport",
            [
                "Basics", "CBuild", "FlowLedger", "LibC", "OperatingSystem", .argumentParser, .logging, .unixSignals,
                .nioCore,
            ], linux: ["CLinuxProcess"]),

        // One answer for each HTTP request.
        shared("PlainHTTP", [.nioCore, .nioHTTP1]),
        shared(
            "Admin",
            [
                "Basics", "CommandSupport", "Crypto", "FlowLedger", "OperatingSystem", "PlainHTTP", .nioCore, .nioPosix,
                .nioHTTP1, .argumentParser, .logging,
            ]),

        shared(
            "PeerSupport",
            [
                "Admin", "AppProto", "Basics", "FlowLedger", "TLS", "HostNetwork", "OperatingSystem", "QUIC",
                "Signaling",
                "PeerPath", "PeerChannel", "CommandSupport", .nioCore, .nioPosix, .argumentParser, .logging,
            ]),
        shared(
            "RelayChannel",
            [
                "Basics", "TLS", "UDP", "UDPRelay", "PeerPath", "PeerChannel", "CommandSupport", .nioCore, .logging,
            ]),
        shared(
            "ClientSupport",
            [
                "Admin", "AgentChoice", "AppProto", "Basics", "FileWatch", "LibC", "TLS", "HostNetwork",
                "OperatingSystem", "Signaling", "PeerPath",
                "PeerChannel", "CommandSupport", "PeerSupport", .nioCore, .nioPosix, .dequeModule, .argumentParser,
                .logging,
            ]),

        shared(
            "TunnelClient",
            [
                "AgentChoice", "AppProto", "Basics", "ClientSupport", "CommandSupport", "FlowLedger", "PeerChannel",
                "PeerPath", "Signaling", "Tunnel", "UDPAssociation", .nioCore, .nioPosix, .dequeModule, .logging,
            ]),

        shared(
            "Diagnosis",
            [
                "AppProto", "Basics", "TLS", "NameResolution", "Signaling", "PeerChannel", "CommandSupport",
                "PeerSupport", .nioCore, .nioPosix, .argumentParser, .logging,
            ]),

        program(
            "rtun-server", main: "RtunServer.swift",
            [
                "Admin", "AgentChoice", "AppProto", "Basics", "Crypto", "FileWatch", "FlowLedger", "LibC", "TLS",
                "STUN",
                "UDP", "QUIC", "Signaling", "CommandSupport", "OperatingSystem", "PlainHTTP",
                .nioCore, .nioPosix, .nioHTTP1, .nioWebSocket, .dequeModule, .heapModule, .argumentParser, .logging,
            ]),
        program(
            "rtun-agent", main: "RtunAgent.swift",
            [
                "Admin", "AppProto", "Basics", "FlowLedger", "LibC", "TLS", "NameResolution", "HostNetwork",
                "OperatingSystem", "FileWatch",
                "Signaling", "PeerChannel", "Tunnel", "RelayChannel", "UDP", "UDPRelay", "UDPAssociation",
                "PeerSupport", "Diagnosis", "CommandSupport",
                .nioCore, .nioPosix, .argumentParser, .logging,
            ]),
        program(
            "rtun-socks", main: "RtunSocks.swift",
            [
                "Admin", "Basics", "FlowLedger", "HTTPProxy", "LibC", "TLS", "Signaling", "PeerChannel", "SOCKS",
                "Tunnel",
                "TunnelClient", "UDP", "UDPAssociation", "PeerSupport", "ClientSupport", "Diagnosis", "CommandSupport",
                .nioCore, .nioPosix,
                .dequeModule, .argumentParser, .logging,
            ]),

        program(
            "rtun-relay", main: "RtunRelay.swift",
            [
                "Admin", "AgentChoice", "AppProto", "Basics", "FlowLedger", "TLS", "HostNetwork", "Signaling",
                "PeerChannel",
                "RelayChannel", "Tunnel", "TunnelClient", "UDP", "UDPRelay", "PeerSupport", "ClientSupport",
                "Diagnosis", "CommandSupport", .nioCore, .nioPosix, .dequeModule, .argumentParser, .logging,
            ]),

        tests("AppProtoTests", ["AppProto", "Basics", "TestSupport", .nioCore]),
        tests("BasicsTests", ["Basics", "TestSupport", .nioCore]),
        tests("CryptoTests", ["Crypto", "TestSupport"]),
        tests(
            "TLSTests",
            [
                "Basics", "Crypto", "OperatingSystem", "LibC", "TLS", "TestSupport", .nioCore, .nioEmbedded, .nioPosix,
                .nioTLS,
            ]),
        tests("STUNTests", ["STUN", "TestSupport", .nioCore]),
        tests("ICETests", ["ICE", "STUN", "TestSupport", .nioCore]),
        tests("PeerPathTests", ["PeerPath", "Basics", "Crypto", "ICE", "STUN", "TestSupport", .nioCore]),
        tests("SOCKSTests", ["SOCKS", "Basics", "TestSupport", .nioCore]),
        tests("HTTPProxyTests", ["HTTPProxy", "Basics", "TestSupport", .nioCore]),
        tests("UDPTests", ["LibC", "UDP", .nioCore, .nioPosix]),
        tests("NameResolutionTests", ["NameResolution", "TestSupport", .nioCore, .nioPosix]),
        tests(
            "HostNetworkTests", ["HostNetwork", "TestSupport", .nioCore, .nioPosix],
            exclude: isPortable ? ["Linux"] : []),
        tests("QUICTests", ["Crypto", "QUIC", "TLS", "UDP", "TestSupport", .nioCore, .nioEmbedded, .nioPosix]),
        tests(
            "SignalingTests",
            [
                "Signaling", "AppProto", "Basics", "Crypto", "HostNetwork", "QUIC", "TLS", "TestSupport", .nioCore,
                .nioEmbedded, .nioHTTP1,
                .nioPosix,
                .nioWebSocket, .logging,
            ]),
        tests(
            "PeerChannelTests",
            [
                "PeerChannel", "PeerPath", "PeerTestSupport", "Tunnel", "TestSupport", "AppProto", "Crypto",
                "HostNetwork",
                "ICE", "QUIC", "STUN", "TLS", "UDP", .nioCore, .nioEmbedded, .nioPosix, .logging,
            ]),
        tests(
            "TunnelTests",
            [
                "Tunnel", "Basics", "UDPAssociation", "PeerPath", "PeerChannel", "PeerTestSupport", "TestSupport",
                "AppProto", "Crypto", "QUIC", "TLS", .nioCore, .nioEmbedded, .nioPosix, .logging,
            ]),
        tests(
            "RelayChannelTests",
            [
                "RelayChannel", "PeerPath", "PeerChannel", "PeerTestSupport", "UDPRelay", .nioCore, .nioEmbedded,
                .logging,
            ]),
        tests("UDPRelayTests", ["UDPRelay", "FlowLedger", .nioCore]),
        tests("UDPAssociationTests", ["UDPAssociation", "Basics", "TestSupport", .nioCore]),
        tests("FlowLedgerTests", ["FlowLedger", .nioCore]),
        tests(
            "TunnelClientTests",
            ["TunnelClient", "AgentChoice", "TestSupport", .nioCore, .nioEmbedded, .logging]),
        tests("AgentChoiceTests", ["AgentChoice", "TestSupport", .nioCore]),
        tests(
            "ClientSupportTests",
            [
                "ClientSupport", "AgentChoice", "AppProto", "Basics", "CommandSupport", "Signaling", "TestSupport",
                .nioCore, .nioPosix, .logging,
            ]),
        tests(
            "PeerSupportTests",
            [
                "PeerPath", "PeerSupport", "CommandSupport", "PeerChannel", "QUIC", "Signaling", "TLS", .nioCore,
                .nioEmbedded,
                .logging,
            ]),
        tests(
            "DiagnosisTests",
            ["Diagnosis", "AppProto", "Basics", "CommandSupport", "PeerChannel", "Signaling", .nioCore]),
        tests("FileWatchTests", ["FileWatch", "TestSupport", .nioCore, .nioPosix]),
        tests(
            "CommandSupportTests",
            ["CommandSupport", "FlowLedger", "LibC", "TestSupport", .nioCore, .nioEmbedded, .argumentParser, .logging]
                + onThisSystem(linux: ["CLinuxProcess"]),
            exclude: [otherSystem]),
        tests(
            "rtun-serverTests",
            [
                "rtun-server", "AgentChoice", "AppProto", "Basics", "TLS", "STUN", "QUIC", "Signaling",
                "CommandSupport",
                "PlainHTTP", "TestSupport",
                .nioCore,
                .nioEmbedded, .nioHTTP1, .nioPosix, .argumentParser, .logging,
            ]),
        tests(
            "AdminTests",
            [
                "Admin", "Basics", "CommandSupport", "FlowLedger", "LibC", "PlainHTTP", "TestSupport", .nioCore,
                .nioPosix,
                .nioHTTP1, .argumentParser, .logging,
            ]),
        tests(
            "rtun-agentTests",
            [
                "rtun-agent", "Basics", "CommandSupport", "FlowLedger", "NameResolution", "PeerChannel",
                "PeerTestSupport", "AppProto", "TLS", "TestSupport", "Tunnel", "UDPAssociation", .nioCore, .nioPosix,
                .argumentParser, .logging,
            ]),
        tests(
            "rtun-relayTests",
            [
                "rtun-relay", "Basics", "CommandSupport", "FlowLedger", "PeerTestSupport", "TunnelClient", .nioCore,
                .nioEmbedded, .argumentParser,
            ]),
        tests(
            "rtun-socksTests",
            [
                "rtun-socks", "Basics", "FlowLedger", "HTTPProxy", "PeerTestSupport", "TestSupport", "SOCKS", "Tunnel",
                "TunnelClient", .nioCore, .nioEmbedded, .argumentParser, .logging,
            ]),

        // The real programs, from outside.
        .target(
            name: "TestSupport", dependencies: ["Crypto", "STUN", "Signaling", .nioCore, .logging],
            path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "PeerTestSupport",
            dependencies: [
                "TestSupport", "AppProto", "Basics", "FlowLedger", "PeerChannel", "PeerPath", "TLS", "Tunnel",
                "TunnelClient", .nioCore, .nioEmbedded, .nioPosix, .logging,
            ],
            path: "Tests/PeerTestSupport", swiftSettings: strict),
        tests(
            "EndToEndTests",
            [
                "TestSupport", "Crypto", "AppProto", "Basics", "PeerChannel", "QUIC", "RelayChannel", "Signaling",
                "TLS", "Tunnel", "UDPRelay", .nioCore, .nioPosix, .logging,
            ] + programs,
            exclude: ["terminal_session.py", "fail2ban_filter.py"]),
        tests("NATLabTests", ["TestSupport"] + programs, exclude: ["lab_traffic.py", "bridge_middle.py"]),
        tests(
            "InteropTests",
            [
                "TestSupport", "AppProto", "ClientSupport", "PeerPath", "PeerChannel", "Tunnel", "ICE", "Signaling",
                "TLS",
                .nioCore, .nioPosix, .logging,
            ] + programs,
            exclude: [
                "requirements.txt", "quic_middle.py", "server_hello.py", "ice_peer.py", "relay_injector.py",
                "icmp_target.py", "pysocks_udp.py", "quic_attacks.py", "tunnel_attacks.py", "silent_clients.py",
                "git_server.py", "web_page.py", "status_page.py",
            ]),
    ] + systemTargets + staticTargets + fuzzTargets
)

// These test targets only, separated by spaces: scripts/debian13.sh has no time for all.
if let wanted = Context.environment["RTUN_TESTS"]?.split(separator: " ").map(String.init) {
    package.targets.removeAll { $0.type == .test && !wanted.contains($0.name) }
}
