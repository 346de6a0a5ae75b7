// swift-tools-version: 6.2

import PackageDescription

// In CI a warning is an error; elsewhere a newer compiler's new warnings must not stop anyone.
let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (Context.environment["RTUN_STRICT"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// What rtun is measured with. A package of its own without dependencies, so that nobody needs rtun's to measure
/// something else, and so that a change to rtun does not change the yardstick.
let package = Package(
    name: "rtun-benchmarks",
    products: [
        .executable(name: "rtun-link", targets: ["rtun-link"]),
        .executable(name: "rtun-load", targets: ["rtun-load"]),
    ],
    targets: [
        .systemLibrary(name: "CLinuxBench", path: "Sources/CLinuxBench"),
        .target(name: "BenchSupport", dependencies: ["CLinuxBench"], swiftSettings: strict),
        .executableTarget(name: "rtun-link", dependencies: ["BenchSupport", "CLinuxBench"], swiftSettings: strict),
        .executableTarget(name: "rtun-load", dependencies: ["BenchSupport", "CLinuxBench"], swiftSettings: strict),
        .testTarget(name: "rtun-linkTests", dependencies: ["rtun-link"], swiftSettings: strict),
    ]
)
