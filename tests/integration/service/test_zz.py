from entresol.errors import Code
from tests.integration.service.museum import STRANGER
def test_a(api, ann, halls):
    s = api.call("CreateStory", story={"title":"t","author":ann})
    print(s, api.answered_by, api.session)
    assert api.call("GetStory", name=s.name)==s
    print(api.answered_by)
    h = halls.call("CreateHall", hall={"title":"x"})
    print(h)
    r = halls.refused(Code.PERMISSION_DENIED, "GetHall", STRANGER, name="halls/none")
    print(r.status)
    halls.refused(Code.NOT_FOUND, "GetHall", name="halls/none")
    r=halls.refused(Code.INVALID_ARGUMENT, "BatchCreateHalls", requests=[{"hall":{"title":""},"hall_id":"A B"} for _ in range(300)])
    print(len(r.status.SerializeToString()))
    assert 0
