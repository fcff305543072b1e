"""Lists from the cache, as a client meets them."""

from __future__ import annotations

from tests.integration.service.api import Api, new_id


def test_stories_of_one_author_are_listed_by_the_cache_page_by_page(api: Api) -> None:
    author = api.call("CreateUser", user={"display_name": "Cleo"}, user_id=new_id("cleo")).name
    for score in (3, 1, 2):
        api.call("CreateStory", story={"title": "t", "author": author, "score": score})
    asked = {"filter": f'author = "{author}"', "order_by": "score desc", "page_size": 2}
    first = api.read_until_cached("ListStories", **asked)
    assert [story.score for story in first.stories] == [3, 2]
    second = api.read_until_cached("ListStories", **asked, page_token=first.next_page_token)
    assert [story.score for story in second.stories] == [1]
    assert second.next_page_token == ""


def test_who_changes_a_story_sees_it_where_it_now_stands(api: Api) -> None:
    author = api.call("CreateUser", user={"display_name": "Dan"}, user_id=new_id("dan")).name
    names = [api.call("CreateStory", story={"title": "t", "author": author, "score": n}).name for n in (1, 2)]
    asked = {"filter": f'author = "{author}"', "order_by": "score desc"}
    api.read_until_cached("ListStories", **asked)
    api.call("UpdateStory", story={"name": names[0], "score": 3}, update_mask="score")
    assert [story.name for story in api.call("ListStories", **asked).stories] == names
    api.call("DeleteStory", name=names[1])
    assert [story.name for story in api.call("ListStories", **asked).stories] == names[:1]


def test_comments_are_listed_by_the_cache_within_their_story(api: Api, ann: str) -> None:
    one, other = [api.call("CreateStory", story={"title": "t", "author": ann}).name for _ in range(2)]
    for text in ("a", "b"):
        api.call("CreateComment", parent=one, comment={"author": ann, "text": text})
    comments = api.read_until_cached("ListComments", parent=one, order_by="create_time desc").comments
    assert [comment.text for comment in comments] == ["b", "a"]
    assert not api.read_until_cached("ListComments", parent=other).comments
