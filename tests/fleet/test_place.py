"""Where a group sits."""

from suiren.fleet.place import Place, place_of


def test_a_group_inside_a_node() -> None:
    assert place_of(range(4, 8), 8) == Place(1, (4, 5, 6, 7))


def test_a_group_of_one_card_a_node_has_the_other_cards_as_siblings() -> None:
    assert place_of(range(3, 32, 8), 8) == Place(4, (3,), siblings=8)


def test_a_group_of_whole_nodes_has_none() -> None:
    assert place_of(range(16), 8) == Place(2, tuple(range(8)), siblings=1)


def test_every_other_node() -> None:
    place = place_of(range(0, 64, 16), 8)
    assert (place.nodes, place.distance, place.siblings) == (4, 2, 8)
