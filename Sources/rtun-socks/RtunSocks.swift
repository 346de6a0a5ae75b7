import CommandSupport

@main
enum RtunSocks {
    static func main() async {
        await ProgramMain.run(SocksCommand.self)
    }
}
