package doctor_test
import ("testing";"os";"encoding/json";"example.com/signet/client/internal/doctor")
func TestTmp(t *testing.T){ r,err:=doctor.Examine(t.Context(),doctor.Config{Issuer:os.Getenv("ISS")}); if err!=nil{t.Fatal(err)}
 r.WriteText(os.Stdout,os.Getenv("COL")!=""); if os.Getenv("J")!=""{b,_:=json.MarshalIndent(r,"","  ");os.Stdout.Write(b)} }
