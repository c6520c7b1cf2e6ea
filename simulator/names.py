"""First and family names of the demo territory, of no real file."""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


WOMEN = _list(
    "Amélie, Aïcha, Béatrice, Camille, Céline, Chloé, Christelle, Claire, Élodie, Émilie, "
    "Estelle, Fatima, Françoise, Gaëlle, Hélène, Inès, Isabelle, Jeanne, Julie, Karine, "
    "Laëtitia, Léa, Leïla, Linda, Lucie, Magali, Manon, Marie, Marion, Maïa, Mélanie, Myriam, "
    "Nadège, Nadia, Noémie, Océane, Pauline, Rachida, Sabrina, Samira, Sandrine, Sarah, "
    "Séverine, Solène, Sophie, Stéphanie, Sylvie, Valérie, Yasmina, Zoé"
)
MEN = _list(
    "Adrien, Alexandre, Ali, Amadou, André, Antoine, Baptiste, Benoît, Bruno, Cédric, "
    "Christophe, Damien, David, Didier, Éric, Étienne, Fabrice, Farid, François, Frédéric, "
    "Gaël, Gérard, Grégory, Guillaume, Hervé, Hugo, Ibrahim, Jérémy, Jérôme, Joël, Julien, "
    "Karim, Kévin, Laurent, Loïc, Lucas, Marc, Mathieu, Mehdi, Michaël, Mohamed, Nicolas, "
    "Olivier, Pascal, Raphaël, Rémi, Sébastien, Stéphane, Théo, Yann"
)
FAMILIES = _list(
    "Albert, André, Arnaud, Aubert, Baron, Barré, Benali, Bernard, Bertrand, Besnard, "
    "Blanchard, Boucher, Bourgeois, Boyer, Brunet, Carpentier, Chevalier, Clément, Colin, Da "
    "Silva, Delaunay, Diallo, Dubois, Dufour, Dumont, Dupont, Durand, Faure, Fernandes, "
    "Fontaine, Fournier, Gauthier, Gérard, Girard, Guérin, Haddad, Henry, Hubert, Jacquet, "
    "Joly, Klein, Lambert, Laurent, Le Gall, Lefèvre, Legrand, Lemaître, Leroy, Lucas, "
    "Maillard, Marchand, Martin, Martinez, Mercier, Michel, Moreau, Morvan, Müller, N'Diaye, "
    "Nguyen, Noël, Olivier, Perrin, Petit, Picard, Poirier, Prévost, Renaud, Rivière, Robert, "
    "Roche, Rousseau, Roux, Sanchez, Schmitt, Simon, Thomas, Traoré, Vasseur, Vidal, Weber, "
    "Ziani"
)
