import Foundation
import Testing

/// The inputs in Tests/FuzzCorpus: samples of what is right, and what fuzzing has found.
///
/// One after the other: some targets keep a connection.
@Suite(.serialized, .timeLimit(.minutes(1))) struct CorpusTests {
    static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "FuzzCorpus")

    @Test(arguments: FuzzTarget.all.map(\.name)) func `no input of a corpus breaks what its decoder promises`(
        name: String
    ) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let folder = Self.corpus.appending(path: name)
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            let bytes = try Data(contentsOf: file)
            // The whole input, and what a short read would leave of it.
            for length in [bytes.count, bytes.count / 2, 0] {
                bytes.prefix(length).withUnsafeBytes { bytes in
                    #expect(throws: Never.self, "\(name)/\(file.lastPathComponent)") { try target.run(bytes) }
                }
            }
        }
    }

    @Test func `every folder of the corpus has a fuzz target`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        // The portable build has no decoder for what Linux says.
        let elsewhere: Set = ["netlink"]
        #expect(Set(folders).subtracting(FuzzTarget.all.map(\.name)).isSubset(of: elsewhere))
        #expect(Set(folders).isSuperset(of: FuzzTarget.all.map(\.name)))
    }
}
